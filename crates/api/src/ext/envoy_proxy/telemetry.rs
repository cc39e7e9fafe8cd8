//! What Envoy tells about requests, and to whom.

use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{access_log::AccessLog, metrics::Metrics, tracing::Tracing};
use crate::ext::common::backends_are;

/// Access logs, metrics and traces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// One record a request; to Envoy's standard output unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
    /// Traces of requests; none unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Counters and histograms; for Prometheus to fetch unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// A collector is named by references, or by host.
pub(super) fn needs_collector() -> Rule {
    Rule::new("has(self.host) || (has(self.backendRefs) && size(self.backendRefs) > 0)")
        .message("name the collector in `backendRefs`, or by (deprecated) `host` and `port`")
}

/// What can be a collector.
pub(super) fn collector_kinds() -> Rule {
    backends_are(&["Service", "Backend"], &["", "gateway.envoyproxy.io"])
}

/// The port of OTLP by gRPC.
pub(super) fn otlp_port() -> i32 {
    4317
}
