//! Certificates, memory, overload, and Envoys that hear nothing.

use grafana_dashboard_builder::Metric;
use grafana_dashboard_builder::promql::{avg_over_time, increase, matches, max_by, min_by, sum_by, time};
use grafana_dashboard_builder::rules::Group;

use super::{Urgency, alert};
use crate::envoy;

const PAGE: &str = "envoy";
const DAY: f64 = 86_400.0;
const GATEWAY: [&str; 2] = ["cluster", "gateway"];
const ONE: [&str; 4] = ["cluster", "gateway", "namespace", "instance"];

/// Less memory than this, in bytes, may double without harm.
const MUCH_MEMORY: f64 = 256.0 * 1024.0 * 1024.0;

pub(super) fn groups() -> Vec<Group> {
    vec![certificates(), overload(), configuration()]
}

fn certificates() -> Group {
    let left = || min_by(["cluster", "gateway", "envoy_tls_certificate"], envoy::CERTIFICATE_EXPIRY) - time();
    let summary = "A certificate of {{ $labels.gateway }} expires in {{ $value | humanizeDuration }}";
    let description = "Envoy calls it {{ $labels.envoy_tls_certificate }}. Afterwards clients refuse the connection.";
    let expires = |name, urgency, days| {
        alert(PAGE, name, urgency, left().below(days * DAY), (summary, description)).lasting("10m")
    };
    Group::new("portcullis-certificates")
        .alert(expires("PortcullisCertificateExpires", Urgency::Ticket, 14.0))
        .alert(expires("PortcullisCertificateExpiresSoon", Urgency::Page, 2.0))
}

fn overload() -> Group {
    let growing = |metric: Metric| sum_by(GATEWAY, increase(metric.over("5m"))).above(0.0);
    let refused = growing(envoy::CONNECTIONS_OVERLOAD)
        .or(growing(envoy::CONNECTIONS_REFUSED_GLOBAL))
        .or(growing(envoy::CONNECTIONS_REFUSED))
        .or(max_by(GATEWAY, envoy::STOP_ACCEPTING).above(0.0));
    let now = || max_by(ONE, envoy::MEMORY_PHYSICAL);
    let usual = max_by(ONE, avg_over_time(envoy::MEMORY_PHYSICAL.over("1d")));
    let grows = (now() / usual).above(2.0).and(now().above(MUCH_MEMORY));
    Group::new("portcullis-overload")
        .alert(
            alert(
                PAGE,
                "PortcullisEnvoyOverloaded",
                Urgency::Page,
                refused,
                ("Envoys of {{ $labels.gateway }} refuse connections", "Too many connections, or no memory for more."),
            )
            .lasting("1m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisEnvoyHeapNearlyFull",
                Urgency::Ticket,
                max_by(ONE, envoy::HEAP_PRESSURE).at_least(90.0),
                (
                    "{{ $labels.instance }} has used {{ $value | humanize }} % of its heap",
                    "At the limit it refuses connections and requests.",
                ),
            )
            .lasting("5m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisEnvoyMemoryGrows",
                Urgency::Ticket,
                grows,
                (
                    "{{ $labels.instance }} needs {{ $value | humanize }} times its usual memory",
                    "Compared with the mean of the last day.",
                ),
            )
            .lasting("30m"),
        )
}

fn configuration() -> Group {
    let lost = sum_by(ONE, envoy::CONTROL_PLANE.with([matches("gateway", ".+")])).equals(0.0);
    Group::new("portcullis-envoy-configuration").alert(
        alert(
            PAGE,
            "PortcullisEnvoyDisconnected",
            Urgency::Ticket,
            lost,
            (
                "{{ $labels.instance }} hears nothing from the controller",
                "It serves what it has. Changes do not reach it.",
            ),
        )
        .lasting("5m"),
    )
}
