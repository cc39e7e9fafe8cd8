//! Envoy's metrics.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::telemetry::{collector_kinds, needs_collector, otlp_port};
use crate::ext::{
    common::{BackendRef, Header, StringMatch},
    quantity::Quantity,
};

/// Which metrics there are, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// For Prometheus to fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Collectors that they are sent to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub sinks: Vec<MetricSink>,
    /// The metrics that there are, by name; Envoy's default set unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<StringMatch>,
    /// Whether virtual hosts are counted one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_virtual_host_stats: Option<bool>,
    /// Whether end points are counted one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_per_endpoint_stats: Option<bool>,
    /// Whether the sizes of requests and answers are measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_request_response_sizes_stats: Option<bool>,
    /// Whether gRPC calls are counted by service and method; they are on routes of GRPCRoutes unless set.
    #[serde(rename = "enableGRPCStats", skip_serializing_if = "Option::is_none")]
    pub enable_grpc_stats: Option<bool>,
}

/// Metrics for Prometheus to fetch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Whether there is no page of metrics.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub disable: bool,
    /// How the page is compressed; not at all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

/// How an answer is compressed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// The algorithm.
    pub r#type: CompressionType,
    /// Settings of Brotli; there are none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brotli: Option<NoSettings>,
    /// Settings of gzip; there are none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gzip: Option<NoSettings>,
    /// Settings of Zstandard; there are none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zstd: Option<NoSettings>,
    /// The least length that is compressed; 30 bytes unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_content_length: Option<Quantity>,
}

/// An algorithm of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum CompressionType {
    Gzip,
    Brotli,
    Zstd,
}

/// An empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoSettings {}

/// A collector that metrics are sent to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["type"]))]
#[x_kube(validation = Rule::new("(self.type == 'OpenTelemetry') == has(self.openTelemetry)")
    .message("`openTelemetry` is needed with `type: OpenTelemetry`"))]
pub struct MetricSink {
    /// What kind of collector.
    #[serde(default)]
    pub r#type: MetricSinkType,
    /// A collector of OpenTelemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_telemetry: Option<OpenTelemetryMetrics>,
}

/// What kind of collector metrics are sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricSinkType {
    /// OpenTelemetry, by OTLP and gRPC.
    #[default]
    OpenTelemetry,
}

/// Metrics to a collector of OpenTelemetry, by OTLP and gRPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = needs_collector())]
#[x_kube(validation = collector_kinds())]
pub struct OpenTelemetryMetrics {
    /// The collector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// The collector's host. Deprecated: use `backendRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The collector's port, with `host`.
    #[serde(default = "otlp_port")]
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
    /// Headers sent with each export, such as a token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub headers: Vec<Header>,
    /// Attributes of the sender.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_attributes: BTreeMap<String, String>,
    /// Whether counters are sent as what was added since the last export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_counters_as_deltas: Option<bool>,
    /// Whether histograms are sent as what was added since the last export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_histograms_as_deltas: Option<bool>,
}
