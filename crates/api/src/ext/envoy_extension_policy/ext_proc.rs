//! External processing: a service sees requests and answers, part by part, and may change them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ext::{
    common::{BackendRef, ErrorStatus, backends_are},
    duration::Duration,
};

/// The attributes of Envoy that can be asked for.
const ATTRIBUTE_PATTERN: &str =
    r"^(connection\.|source\.|destination\.|request\.|response\.|upstream\.|xds\.route_)[a-z_1-9]*$";

/// A service that sees requests and answers, by Envoy's external processing protocol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = backends_are(&["Service", "ServiceImport", "Backend"],
    &["", "multicluster.x-k8s.io", "gateway.envoyproxy.io"]))]
#[x_kube(validation = Rule::new("!(has(self.failOpen) && self.failOpen && has(self.processingMode) && \
    ((has(self.processingMode.request) && has(self.processingMode.request.body) && self.processingMode.request.body == \
    'FullDuplexStreamed') || (has(self.processingMode.response) && has(self.processingMode.response.body) && \
    self.processingMode.response.body == 'FullDuplexStreamed')))")
    .message("with a body of FullDuplexStreamed what was sent to the service cannot be taken back: set `failOpen` to false"))]
#[x_kube(validation = Rule::new("!(has(self.shadowMode) && self.shadowMode && has(self.processingMode) && \
    ((has(self.processingMode.request) && has(self.processingMode.request.body) && self.processingMode.request.body != \
    'Streamed') || (has(self.processingMode.response) && has(self.processingMode.response.body) && \
    self.processingMode.response.body != 'Streamed')))")
    .message("in `shadowMode` nothing waits for the service: a body can only be Streamed"))]
pub struct ExtProc {
    /// Where the service is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// How long an answer to one message is waited for; 200 ms unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_timeout: Option<Duration>,
    /// Whether requests go through while the service cannot be asked; they are denied unless set.
    #[serde(default)]
    pub fail_open: bool,
    /// What the service sees; nothing but what it asks for unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_mode: Option<ProcessingMode>,
    /// Dynamic metadata that the service may read and write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ExtProcMetadata>,
    /// Whether the service only looks on: requests don't wait for it and it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_mode: Option<bool>,
    /// The status of requests that are denied since the service cannot be asked; 500 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_on_error: Option<ErrorStatus>,
}

/// What the service sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessingMode {
    /// Of requests. Their headers are sent when this is set, even if it's empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<MessageMode>,
    /// Of answers. Their headers are sent when this is set, even if it's empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<MessageMode>,
    /// Whether the service may change the mode for a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_mode_override: Option<bool>,
}

/// What the service sees of requests, or of answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageMode {
    /// How the body is sent; it isn't unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyMode>,
    /// Attributes of Envoy that are sent along, such as `request.path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = ATTRIBUTE_PATTERN)))]
    pub attributes: Vec<String>,
}

/// How a body is sent to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BodyMode {
    /// Chunk by chunk; each waits for its answer.
    Streamed,
    /// As a whole; one that is too long is answered 413.
    Buffered,
    /// As a whole, or the beginning of one that is too long.
    BufferedPartial,
    /// Chunk by chunk, and the service answers when it likes.
    FullDuplexStreamed,
}

/// Dynamic metadata that the service may read and write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtProcMetadata {
    /// Namespaces that are sent to the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessible_namespaces: Vec<String>,
    /// Namespaces that the service may write to; those of Envoy's own filters can't be given away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(validation = Rule::new("self.all(n, !n.startsWith('envoy.filters.http'))")
        .message("a namespace that begins with envoy.filters.http belongs to a filter of Envoy: choose another"))]
    pub writable_namespaces: Vec<String>,
}
