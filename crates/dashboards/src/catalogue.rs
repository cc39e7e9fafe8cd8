//! Every metric that dashboards and alerts may use.

use grafana_dashboard_builder::{Catalogue, Metric};
use kit::metrics::Described;

use crate::envoy;

/// Labels that the scrape configuration of docs/dashboards.md gives to all targets.
const OF_TARGETS: [&str; 3] = ["cluster", "namespace", "pod"];

/// Prometheus's own: alerts that are pending or firing.
pub const ALERTS: Metric = Metric::new("ALERTS", &["alertname", "alertstate", "severity"]);

/// A metric of a service's catalogue.
pub fn of(metric: impl Described) -> Metric {
    let (name, _, labels) = metric.describe();
    Metric::new(name, labels)
}

/// All of them.
pub fn all() -> Catalogue {
    Catalogue::new(envoy::ALL.iter().cloned())
        .and([ALERTS])
        .and(kit::metrics::Shared::ALL.map(of))
        .and(controller::metrics::Name::ALL.map(of))
        .and(exporter::metrics::Name::ALL.map(of))
        .and(ratelimit::metrics::Name::ALL.map(of))
        .and(oidc::metrics::Name::ALL.map(of))
        .and(waf::metrics::Name::ALL.map(of))
        .and(crate::alerts::recorded())
        .labels_of_targets(OF_TARGETS)
}
