//! The container beside Envoy that lets it finish what it has.
//!
//! ```text
//! the pod is to end ─▶ preStop of shutdown-manager: `portcullis envoy shutdown` drains Envoy ─▶ SIGTERM to shutdown-manager
//!                  └─▶ preStop of envoy: GET /shutdown/ready, answered once shutdown-manager is told to end ─▶ SIGTERM to Envoy
//! ```

use std::{net::SocketAddr, time};

use api::ext::Duration;
use k8s_openapi::api::core::v1::{Container, ExecAction, Lifecycle, LifecycleHandler, Probe};

use super::{
    Fleet, Settings,
    envoy::{any, get, requests, restricted},
};

/// Its port.
pub(super) const PORT: u16 = 19002;
const REQUESTS: [(&str, &str); 2] = [("cpu", "5m"), ("memory", "16Mi")];
/// What everything but draining may take when a pod ends.
const MARGIN: time::Duration = time::Duration::from_secs(30);

/// How long a pod may take to end.
pub(super) fn grace(fleet: &Fleet<'_>) -> time::Duration {
    let proxy = &fleet.gateway.proxy;
    proxy.drain_timeout().max(proxy.min_drain()) + MARGIN
}

pub(super) fn container(fleet: &Fleet<'_>, settings: &Settings) -> Container {
    let proxy = &fleet.gateway.proxy;
    let manager = &settings.shutdown_manager;
    let command =
        |rest: &[&str]| ["portcullis", "envoy"].iter().chain(rest).map(|&word| word.to_owned()).collect::<Vec<_>>();
    let mut drain = command(&["shutdown"]);
    for (flag, duration) in [
        ("--drain-timeout", proxy.drain_timeout()),
        ("--min-drain-duration", proxy.min_drain()),
        ("--health-check-failure-delay", proxy.health_check_failure_delay()),
    ] {
        drain.extend([flag.to_owned(), Duration::from(duration).0]);
    }
    let listen = SocketAddr::new(any(proxy), PORT).to_string();
    Container {
        name: "shutdown-manager".to_owned(),
        image: Some(manager.image.clone().unwrap_or_else(|| settings.controller_image.clone())),
        command: Some(command(&["shutdown-manager", "--listen", &listen])),
        resources: Some(manager.resources.clone().unwrap_or_else(|| requests(REQUESTS))),
        security_context: Some(restricted()),
        liveness_probe: Some(Probe { period_seconds: Some(10), failure_threshold: Some(3), ..get("/healthz", PORT) }),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                exec: Some(ExecAction { command: Some(drain) }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}
