//! Access logs: one record a request.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::telemetry::{collector_kinds, needs_collector, otlp_port};
use crate::ext::common::{BackendRef, Header};

/// Where records of requests go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLog {
    /// Whether there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
    /// What is written and where; JSON to Envoy's standard output unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50))]
    pub settings: Vec<AccessLogSetting>,
}

/// One form of records, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLogSetting {
    /// What a record says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AccessLogFormat>,
    /// CEL expressions over Envoy's attributes, such as `response.code >= 400`; a record is written when all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub matches: Vec<String>,
    /// Where the records go.
    #[schemars(length(min = 1, max = 50))]
    pub sinks: Vec<AccessLogSink>,
    /// Which component writes them; listeners write of connections without a request, routes of requests; both unless
    /// set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<AccessLogType>,
}

/// Which component of Envoy writes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessLogType {
    /// Listeners, of connections.
    Listener,
    /// Routes, of requests.
    Route,
    /// The router, of each attempt at a back end.
    Upstream,
}

/// What a record says, by Envoy's command operators such as `%REQ(:METHOD)%`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.type) || self.type != 'Text' || (has(self.text) && !has(self.json))")
    .message("`type: Text` needs `text`, and no `json`"))]
#[x_kube(validation = Rule::new("!has(self.type) || self.type != 'JSON' || (has(self.json) && !has(self.text))")
    .message("`type: JSON` needs `json`, and no `text`"))]
#[x_kube(validation = Rule::new("has(self.type) || has(self.text) || has(self.json)")
    .message("a format needs `text` or `json`"))]
pub struct AccessLogFormat {
    /// A line of text, or a JSON object; by what is set unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<AccessLogFormatType>,
    /// The line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The fields of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<BTreeMap<String, String>>,
}

/// The form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessLogFormatType {
    /// A line of text.
    Text,
    /// A JSON object.
    JSON,
}

/// Where records go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.type) && self.type == 'ALS') == has(self.als)")
    .message("`als` is needed with `type: ALS`, and only then"))]
#[x_kube(validation = Rule::new("(has(self.type) && self.type == 'File') == has(self.file)")
    .message("`file` is needed with `type: File`, and only then"))]
#[x_kube(validation = Rule::new("(has(self.type) && self.type == 'OpenTelemetry') == has(self.openTelemetry)")
    .message("`openTelemetry` is needed with `type: OpenTelemetry`, and only then"))]
pub struct AccessLogSink {
    /// What kind of place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<AccessLogSinkType>,
    /// A service that speaks Envoy's access log protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub als: Option<AlsSink>,
    /// A file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSink>,
    /// A collector of OpenTelemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_telemetry: Option<OpenTelemetrySink>,
}

/// What kind of place records go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessLogSinkType {
    /// A service that speaks Envoy's access log protocol.
    ALS,
    /// A file.
    File,
    /// A collector of OpenTelemetry.
    OpenTelemetry,
}

/// Records in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileSink {
    /// The file; `/dev/stdout` is Envoy's standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub path: Option<String>,
}

/// Records to a service that speaks Envoy's access log protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type == 'HTTP' || !has(self.http)")
    .message("`http` is for `type: HTTP` only"))]
#[x_kube(validation = Rule::new("has(self.backendRefs) && size(self.backendRefs) > 0")
    .message("name the service in `backendRefs`"))]
#[x_kube(validation = collector_kinds())]
pub struct AlsSink {
    /// The service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// A name by which the service can tell logs apart; `accesslog/` and the gateway unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub log_name: Option<String>,
    /// Whether records are of requests or of connections.
    pub r#type: AlsType,
    /// What a record of a request has beside the usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<AlsHttp>,
}

/// What records are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AlsType {
    /// Requests.
    HTTP,
    /// Connections.
    TCP,
}

/// What a record of a request has beside the usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlsHttp {
    /// These headers of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<String>,
    /// These headers of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<String>,
    /// These trailers of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_trailers: Vec<String>,
}

/// Records to a collector of OpenTelemetry, by OTLP and gRPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = needs_collector())]
#[x_kube(validation = collector_kinds())]
#[x_kube(validation = Rule::new("!has(self.resources) || !has(self.resourceAttributes)")
    .message("`resources` is the older name of `resourceAttributes`: set only the latter"))]
pub struct OpenTelemetrySink {
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
    /// Headers sent with each export, such as a token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub headers: Vec<Header>,
    /// Attributes of the sender. Deprecated: use `resourceAttributes`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, String>,
    /// Attributes of the sender.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_attributes: BTreeMap<String, String>,
}
