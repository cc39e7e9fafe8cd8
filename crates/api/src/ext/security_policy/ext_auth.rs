//! External authorization: a service decides about each request, by gRPC or HTTP.

use kube::{KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ext::{
    common::{BackendObjectReference, BackendRef, ErrorStatus, GROUP_PATTERN, KIND_PATTERN},
    duration::Duration,
};

/// A service that decides about each request: exactly one of `grpc` and `http`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.grpc) != has(self.http)")
    .message("external authorization needs exactly one of `grpc` and `http`"))]
pub struct ExtAuth {
    /// A service that speaks Envoy's external authorization protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcExtAuth>,
    /// A service that answers HTTP requests: a status of 200 lets the request through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpExtAuth>,
    /// Headers of the request that the service sees, beside those that it always sees; all of them for gRPC unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers_to_ext_auth: Vec<String>,
    /// Sends the request's body to the service; it isn't sent unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_to_ext_auth: Option<BodyToExtAuth>,
    /// Whether requests go through while the service cannot be asked; they are denied unless set.
    #[serde(default)]
    pub fail_open: bool,
    /// Whether the route is chosen again after the service has changed the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute_route: Option<bool>,
    /// How long an answer is waited for; 10 s unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The status of requests that are denied since the service cannot be asked; 403 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_on_error: Option<ErrorStatus>,
    /// Whether the service gets the route's metadata: the resource that the route was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_route_metadata: Option<bool>,
    /// Further text that the service gets with each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub context_extensions: Vec<ContextExtension>,
}

/// A service that is asked by gRPC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = needs_backend())]
#[x_kube(validation = backend_kinds())]
pub struct GrpcExtAuth {
    /// Where the service is. Deprecated: use `backendRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_ref: Option<BackendObjectReference>,
    /// Where the service is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

/// A service that is asked by HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = needs_backend())]
#[x_kube(validation = backend_kinds())]
#[x_kube(validation = Rule::new("!(has(self.path) && has(self.pathOverride))")
    .message("set one of `path` and `pathOverride`, not both"))]
pub struct HttpExtAuth {
    /// Where the service is. Deprecated: use `backendRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_ref: Option<BackendObjectReference>,
    /// Where the service is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// Put before the path of the request to make the path that the service sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The path that the service sees, in place of the request's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_override: Option<String>,
    /// Headers of the service's answer that the back end sees, in place of those of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers_to_backend: Vec<String>,
}

/// How much of a body the service sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BodyToExtAuth {
    /// The most bytes that are held back until the service has decided; a longer body is answered 413.
    #[schemars(with = "i32", range(min = 1))]
    pub max_request_bytes: u32,
}

/// A text that the service gets with each request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["name", "type"]))]
#[x_kube(validation = Rule::new("self.type == 'Value' ? has(self.value) && !has(self.valueRef) : !has(self.value) && \
    has(self.valueRef)")
    .message("set `value` with `type: Value`, or `valueRef` with `type: ValueRef`, and not the other"))]
pub struct ContextExtension {
    /// The key.
    pub name: String,
    /// Where the text comes from.
    #[serde(default)]
    pub r#type: ContextExtensionType,
    /// The text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A ConfigMap or Secret that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_ref: Option<KeyReference>,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContextExtensionType {
    /// It stands in the resource.
    #[default]
    Value,
    /// It's read from a ConfigMap or Secret.
    ValueRef,
}

/// One value of a ConfigMap or Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.kind in ['ConfigMap', 'Secret'] && self.group in ['', 'v1']")
    .message("a value can only be read from a ConfigMap or Secret: set `kind` to one of them and `group` to \"\""))]
pub struct KeyReference {
    /// The API group; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// `ConfigMap` or `Secret`.
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    pub key: String,
}

fn needs_backend() -> Rule {
    Rule::new("has(self.backendRef) || (has(self.backendRefs) && size(self.backendRefs) > 0)")
        .message("name the service in `backendRefs`")
}

fn backend_kinds() -> Rule {
    crate::ext::common::backends_are(
        &["Service", "ServiceImport", "Backend"],
        &["", "multicluster.x-k8s.io", "gateway.envoyproxy.io"],
    )
}
