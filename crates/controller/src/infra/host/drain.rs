//! The end of an Envoy: it finishes what it has, then it ends.
//!
//! ```text
//! /healthcheck/fail ─▶ /drain_listeners?graceful ─▶ no connection left, or the deadline ─▶ SIGTERM ─▶ SIGKILL
//! ```

use std::{path::Path, time::Duration};

use http::Method;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::process::{Files, Process};
use crate::unix_http;

/// How often is looked whether connections are left.
const LOOK: Duration = Duration::from_millis(100);
/// How long Envoy may take to end once it is told to.
const TERMINATE: Duration = Duration::from_secs(5);

/// Drains an Envoy for `deadline` at most, and ends it.
pub(super) async fn drain(mut process: Process, files: &Files, fleet: &str, deadline: Duration) {
    let socket = files.admin_socket();
    let until = Instant::now() + deadline;
    for path in ["/healthcheck/fail", "/drain_listeners?graceful&skip_exit"] {
        if let Err(error) = unix_http::send(&socket, Method::POST, path).await {
            tracing::warn!(component = "infrastructure", fleet, %error, "Envoy cannot be drained, it is ended at once");
            break;
        }
    }
    while !process.has_ended() && Instant::now() < until && is_busy(&socket).await {
        sleep(LOOK).await;
    }
    terminate(&mut process).await;
    tracing::info!(component = "infrastructure", fleet, "Envoy has ended");
}

/// Ends an Envoy at once.
pub(super) async fn terminate(process: &mut Process) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        process.signal(signal);
        if timeout(TERMINATE, process.ended()).await.is_ok() {
            return;
        }
    }
}

/// Whether Envoy has something to finish: a request, or a connection of another protocol than HTTP. HTTP connections on
/// which nothing is asked may be closed at any time; clients know that.
async fn is_busy(socket: &Path) -> bool {
    let filter = "/stats?filter=%5E(listener|http)%5C..*downstream_(cx|rq)_active%24";
    let Ok((_, body)) = unix_http::send(socket, Method::GET, filter).await else { return false };
    let (mut connections, mut http_connections, mut requests) = (0, 0, 0);
    for (name, value) in String::from_utf8_lossy(&body).lines().filter_map(|line| line.rsplit_once(": ")) {
        let value = value.parse::<u64>().unwrap_or(0);
        // The admin interface is ours, and those of each worker are counted in the sum already.
        match name.split('.').next() {
            _ if name.contains(".admin.") || name.contains(".worker_") => {}
            Some("listener") => connections += value,
            Some("http") if name.ends_with("_rq_active") => requests += value,
            _ => http_connections += value,
        }
    }
    requests > 0 || connections > http_connections
}
