//! Traces of requests.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::telemetry::{collector_kinds, needs_collector, otlp_port};
use crate::ext::common::{BackendRef, Fraction, Header};

/// Traces of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.samplingRate) && has(self.samplingFraction))")
    .message("set one of `samplingRate` and `samplingFraction`, not both"))]
pub struct Tracing {
    /// Where the traces go.
    pub provider: TracingProvider,
    /// How many of the requests are traced, in percent; all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub sampling_rate: Option<i32>,
    /// How many of the requests are traced; all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_fraction: Option<Fraction>,
    /// How many of the requests are traced whose client asks for it by `x-client-trace-id`; all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_sampling_fraction: Option<Fraction>,
    /// How many requests are traced at most, after the other two have chosen; all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall_sampling_fraction: Option<Fraction>,
    /// Tags of each span, by name. Deprecated: use `tags`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_tags: BTreeMap<String, CustomTag>,
    /// Tags of each span, by name; the values may have Envoy's command operators such as `%REQ(:METHOD)%`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The names of spans; Envoy's own unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_name: Option<SpanName>,
}

/// The names of spans, with Envoy's command operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpanName {
    /// Of requests to back ends.
    pub client: String,
    /// Of requests from clients.
    pub server: String,
}

/// The value of a tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["type"]))]
pub struct CustomTag {
    /// Where it comes from.
    #[serde(default)]
    pub r#type: CustomTagType,
    /// With `type: Literal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<LiteralTag>,
    /// With `type: Environment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<NamedTag>,
    /// With `type: RequestHeader`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_header: Option<NamedTag>,
}

/// Where the value of a tag comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CustomTagType {
    /// It stands in the resource.
    #[default]
    Literal,
    /// From a variable of Envoy's environment.
    Environment,
    /// From a header of the request.
    RequestHeader,
}

/// A fixed value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiteralTag {
    /// The value.
    pub value: String,
}

/// A value that is looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedTag {
    /// The name of the variable or header.
    pub name: String,
    /// The value if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["type"]))]
#[x_kube(validation = needs_collector())]
#[x_kube(validation = collector_kinds())]
#[x_kube(validation = Rule::new("!has(self.openTelemetry) || self.type == 'OpenTelemetry'")
    .message("`openTelemetry` is for `type: OpenTelemetry` only"))]
pub struct TracingProvider {
    /// What the collector speaks.
    #[serde(default)]
    pub r#type: TracingProviderType,
    /// The collector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// The collector's host. Deprecated: use `backendRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The collector's port, with `host`.
    #[serde(default = "otlp_port")]
    #[schemars(range(min = 0))]
    pub port: i32,
    /// The name of the service in traces; the gateway's namespace and name unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self != \"\"").message("leave `serviceName` out to name the service after its gateway"))]
    pub service_name: Option<String>,
    /// Settings of OpenTelemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_telemetry: Option<OpenTelemetryTracing>,
    /// Settings of Zipkin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zipkin: Option<Zipkin>,
}

/// What a collector of traces speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TracingProviderType {
    /// OTLP by gRPC.
    #[default]
    OpenTelemetry,
    /// Zipkin's version 2, JSON by HTTP.
    Zipkin,
    /// Datadog's agent.
    Datadog,
}

/// Settings of OpenTelemetry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenTelemetryTracing {
    /// Headers sent with each export, such as a token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub headers: Vec<Header>,
    /// Attributes of the sender.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_attributes: BTreeMap<String, String>,
    /// Which of the sampled requests are exported; all unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
}

/// A sampler of OpenTelemetry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["type"]))]
#[x_kube(validation = Rule::new("!has(self.samplingPercentage) || self.type in ['TraceIdRatio', 'ParentBasedTraceIdRatio']")
    .message("`samplingPercentage` is for `type` TraceIdRatio and ParentBasedTraceIdRatio only"))]
pub struct Sampler {
    /// How it chooses.
    #[serde(default)]
    pub r#type: SamplerType,
    /// How many traces are exported, by their id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_percentage: Option<Fraction>,
}

/// How a sampler chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SamplerType {
    /// All.
    #[default]
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// By the trace's id.
    TraceIdRatio,
    /// As the parent span has it, else all.
    ParentBasedAlwaysOn,
    /// As the parent span has it, else none.
    ParentBasedAlwaysOff,
    /// As the parent span has it, else by the trace's id.
    ParentBasedTraceIdRatio,
}

/// Settings of Zipkin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Zipkin {
    /// Whether trace ids have 128 bits; 64 unless set.
    #[serde(rename = "enable128BitTraceId", skip_serializing_if = "Option::is_none")]
    pub enable_128_bit_trace_id: Option<bool>,
    /// Whether client and server don't share a span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_shared_span_context: Option<bool>,
}
