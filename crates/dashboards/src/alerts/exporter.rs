//! Requests that are not counted as what they are.

use exporter::metrics::Name;
use grafana_dashboard_builder::promql::{rate, sum_by};
use grafana_dashboard_builder::rules::Group;

use super::{Urgency, alert, grown};
use crate::catalogue::of;
use crate::envoy;

const PAGE: &str = "exporter";
const GATEWAY: [&str; 2] = ["cluster", "gateway"];

pub(super) fn groups() -> Vec<Group> {
    let rate_of = |metric: grafana_dashboard_builder::Metric| sum_by(GATEWAY, rate(metric.over("5m")));
    let lost = rate_of(envoy::LOG_DROPPED) / (rate_of(envoy::LOG_DROPPED) + rate_of(envoy::LOG_WRITTEN));
    let dropped_here = sum_by(["cluster", "namespace", "reason"], grown(&of(Name::Dropped).with([]), "10m"));
    let capped = sum_by(["cluster", "namespace", "metric"], grown(&of(Name::Capped).with([]), "15m"));
    let events = sum_by(["cluster", "namespace", "sink"], rate(of(Name::EventsDropped).over("5m")));
    let group = Group::new("portcullis-exporter")
        .alert(
            alert(
                PAGE,
                "PortcullisAccessLogLoss",
                Urgency::Ticket,
                lost.above(0.001),
                (
                    "Envoys of {{ $labels.gateway }} drop entries of the access log",
                    "{{ $value | humanizePercentage }} of the requests are in no figure.",
                ),
            )
            .lasting("5m"),
        )
        .alert(alert(
            PAGE,
            "PortcullisAccessLogUnreadable",
            Urgency::Ticket,
            dropped_here.above(0.0),
            ("The exporter cannot count entries ({{ $labels.reason }})", "{{ $value | humanize }} in ten minutes."),
        ))
        .alert(alert(
            PAGE,
            "PortcullisExporterCapReached",
            Urgency::Ticket,
            capped.above(0.0),
            (
                "{{ $labels.metric }} has reached its cap",
                "{{ $value | humanize }} entries in 15 minutes were counted as `other`.",
            ),
        ))
        .alert(
            alert(
                PAGE,
                "PortcullisSecurityEventsLost",
                Urgency::Ticket,
                events.above(0.0),
                (
                    "Security events are lost ({{ $labels.sink }})",
                    "{{ $value | humanize }} a second: what they are written to is too slow, or takes no more.",
                ),
            )
            .lasting("5m"),
        );
    vec![group]
}
