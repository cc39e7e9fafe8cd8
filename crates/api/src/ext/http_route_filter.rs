//! `HTTPRouteFilter`: what a rule of an HTTPRoute can do beyond the Gateway API's own filters.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{Header, LocalObjectReference, SecretObjectReference};

/// What the filter does to the requests of the rules that refer to it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.envoyproxy.io",
    version = "v1alpha1",
    kind = "HTTPRouteFilter",
    root = "HttpRouteFilter",
    plural = "httproutefilters",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    shortname = "hrf",
    category = "envoy-gateway",
    doc = "A filter that rules of HTTPRoutes can refer to: answers by itself, rewrites, injects credentials, matches cookies.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct HttpRouteFilterSpec {
    /// Rewrites what the back end sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_rewrite: Option<UrlRewrite>,
    /// Answers the request without a back end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_response: Option<DirectResponse>,
    /// Puts a credential into the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_injection: Option<CredentialInjection>,
    /// Narrows the rule to requests that one of these matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub matches: Vec<FilterMatch>,
}

/// Rewrites the path, the host, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlRewrite {
    /// The new path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// The new host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<HostnameRewrite>,
    /// Whether the host that the client asked for is appended to `X-Forwarded-Host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_x_forwarded_host: Option<bool>,
}

/// A new path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'ReplaceRegexMatch') == has(self.replaceRegexMatch)")
    .message("`replaceRegexMatch` is needed with `type: ReplaceRegexMatch`, and only then"))]
pub struct PathRewrite {
    /// How it's made.
    pub r#type: PathRewriteType,
    /// The parts of the path that are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_regex_match: Option<RegexRewrite>,
}

/// How a path is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathRewriteType {
    /// What matches a regular expression is replaced.
    ReplaceRegexMatch,
}

/// A regular expression and what takes the place of its matches in a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegexRewrite {
    /// The regular expression (RE2).
    #[schemars(length(min = 1))]
    pub pattern: String,
    /// What takes its place; `\1` is the first group.
    pub substitution: String,
}

/// A new host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Header') == has(self.header)")
    .message("`header` is needed with `type: Header`, and only then"))]
#[x_kube(validation = Rule::new("(self.type == 'PathRegex') == has(self.pathRegex)")
    .message("`pathRegex` is needed with `type: PathRegex`, and only then"))]
pub struct HostnameRewrite {
    /// Where it comes from.
    pub r#type: HostnameRewriteType,
    /// The header that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// How it's made from the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_regex: Option<HostnameFromPath>,
}

/// Where a new host comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HostnameRewriteType {
    /// From a header of the request.
    Header,
    /// It's the DNS name of the chosen back end.
    Backend,
    /// From the path, by a regular expression.
    PathRegex,
}

/// A host made from the path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostnameFromPath {
    /// The regular expression (RE2) for the path.
    #[schemars(length(min = 1))]
    pub pattern: String,
    /// The host; `\1` is the first group.
    #[schemars(length(min = 1), regex(pattern = r"^[^\r\n\x00]*$"))]
    pub substitution: String,
}

/// An answer without a back end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectResponse {
    /// The status; 200 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", extend("format" = null))]
    pub status_code: Option<u16>,
    /// The `Content-Type` header; `text/plain` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body; none unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<ResponseBody>,
    /// Headers of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<ResponseHeaders>,
}

/// The headers of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.remove) || size(self.remove) == 0")
    .message("an answer without a back end has no headers to `remove`: leave it out"))]
pub struct ResponseHeaders {
    /// Headers that are added beside those of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub add: Vec<Header>,
    /// Headers that take the place of those of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub set: Vec<Header>,
    /// Not for answers without a back end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub remove: Vec<String>,
}

/// The body of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["type"]))]
#[x_kube(validation = Rule::new("(has(self.type) && self.type != 'Inline') || has(self.inline)")
    .message("`type: Inline` needs `inline`, the text"))]
#[x_kube(validation = Rule::new("!has(self.type) || self.type != 'ValueRef' || has(self.valueRef)")
    .message("`type: ValueRef` needs `valueRef`, a ConfigMap"))]
#[x_kube(validation = Rule::new("!has(self.valueRef) || self.valueRef.kind == 'ConfigMap'")
    .message("a body can only be read from a ConfigMap: set `valueRef.kind` to ConfigMap"))]
pub struct ResponseBody {
    /// Where it comes from.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "Inline"))]
    pub r#type: BodyType,
    /// The text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// A ConfigMap of the same namespace: its `response.body`, or else its first value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_ref: Option<LocalObjectReference>,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BodyType {
    /// It stands in the resource.
    #[default]
    Inline,
    /// It's read from a ConfigMap.
    ValueRef,
}

/// A credential for the back end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialInjection {
    /// The header; `Authorization` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Whether it takes the place of a header that the request has already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// The credential.
    pub credential: InjectedCredential,
}

/// Where a credential is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InjectedCredential {
    /// A Secret with the header's whole value in `credential`.
    pub value_ref: SecretObjectReference,
}

/// A match beyond those of an HTTPRoute; all its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilterMatch {
    /// Cookies that the request must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub cookies: Vec<CookieMatch>,
}

/// A match of one cookie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CookieMatch {
    /// How `value` is compared.
    #[serde(default)]
    pub r#type: CookieMatchType,
    /// The cookie's name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What the cookie's value is compared with.
    #[schemars(length(min = 1, max = 4096))]
    pub value: String,
}

/// How a cookie is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CookieMatchType {
    /// It is the value.
    #[default]
    Exact,
    /// The whole of it matches the value, an RE2 regular expression.
    RegularExpression,
}
