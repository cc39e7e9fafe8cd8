//! Rate limits: so many requests in a unit of time, counted by what the requests have in common.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rate limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Who counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<RateLimitType>,
    /// Counted by the rate limit service, for all Envoys together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<GlobalRateLimit>,
}

/// Who counts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RateLimitType {
    /// The rate limit service, for all Envoys together.
    Global,
    /// Each Envoy by itself.
    Local,
}

/// Limits that the rate limit service counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlobalRateLimit {
    /// The limits. A request that several rules match counts in each; one that is over any of them is answered 429.
    #[schemars(length(max = 256))]
    pub rules: Vec<RateLimitRule>,
}

/// One limit and the requests that it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitRule {
    /// The requests: those that all selectors match; all requests unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub client_selectors: Vec<ClientSelector>,
    /// How many.
    pub limit: RateLimitValue,
    /// What a request, or its answer, costs; one for the request unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<RateLimitCost>,
    /// Whether all targets of the policy share one counter; each route has its own unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Whether requests over the limit are only counted, and let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_mode: Option<bool>,
    /// Whether answers carry `X-RateLimit-*` headers for this rule.
    #[serde(rename = "xRateLimitHeaders", skip_serializing_if = "Option::is_none")]
    pub x_rate_limit_headers: Option<RateLimitHeaders>,
}

/// Headers that tell a client how much is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RateLimitHeaders {
    /// None.
    Off,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, as the third draft of the IETF's RateLimit headers has them.
    DraftVersion03,
}

/// Requests by their properties; all of them must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.headers) || has(self.methods) || has(self.path) || has(self.sourceCIDR) || \
    has(self.queryParams)")
    .message("a client selector needs at least one of `headers`, `methods`, `path`, `sourceCIDR` and `queryParams`"))]
pub struct ClientSelector {
    /// By headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub headers: Vec<NamedMatch>,
    /// By methods: one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<MethodMatch>,
    /// By path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// By the client's address.
    #[serde(rename = "sourceCIDR", skip_serializing_if = "Option::is_none")]
    pub source_cidr: Option<SourceMatch>,
    /// By query parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub query_params: Vec<NamedMatch>,
}

/// A match of a header or query parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedMatch {
    /// How `value` is compared.
    #[serde(default)]
    pub r#type: NamedMatchType,
    /// The header or query parameter.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What it's compared with; not with `type: Distinct`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
    /// Whether it must not match; not with `type: Distinct`.
    #[serde(default)]
    pub invert: bool,
}

/// How a header or query parameter is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamedMatchType {
    /// It is the value.
    #[default]
    Exact,
    /// The whole of it matches the value, an RE2 regular expression.
    RegularExpression,
    /// Any value, and each has a counter of its own.
    Distinct,
}

/// A match of a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MethodMatch {
    /// The method.
    pub value: Method,
    /// Whether it must be another.
    #[serde(default)]
    pub invert: bool,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

/// A match of the path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["value"]))]
pub struct PathMatch {
    /// How `value` is compared.
    #[serde(default)]
    pub r#type: PathMatchType,
    /// What the path is compared with.
    #[serde(default = "root")]
    #[schemars(length(max = 1024))]
    pub value: String,
    /// Whether it must not match.
    #[serde(default)]
    pub invert: bool,
}

fn root() -> String {
    "/".to_owned()
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// It is the value.
    Exact,
    /// It begins with the value, part by part.
    #[default]
    PathPrefix,
    /// The whole of it matches the value, an RE2 regular expression.
    RegularExpression,
}

/// A match of the client's address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceMatch {
    /// Whether all addresses of the range share a counter.
    #[serde(default)]
    pub r#type: SourceMatchType,
    /// The range, such as `192.0.2.0/24` or `2001:db8::/32`.
    #[schemars(length(min = 1, max = 256))]
    pub value: String,
    /// Whether the address must be outside of the range.
    #[serde(default)]
    pub invert: bool,
}

/// How addresses are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceMatchType {
    /// All addresses of the range together.
    #[default]
    Exact,
    /// Each address by itself.
    Distinct,
}

/// So many in a unit of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitValue {
    /// How many.
    #[schemars(with = "i64", range(min = 0, max = 4_294_967_295_i64))]
    pub requests: u32,
    /// In which time.
    pub unit: RateLimitUnit,
    /// Where the dynamic metadata of a request may hold another limit, which then takes the place of `requests` and `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_metadata: Option<LimitMetadata>,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum RateLimitUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// What a request counts for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitCost {
    /// When it arrives; one unless set. Zero only asks whether the limit is reached already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Cost>,
    /// When it's answered; nothing unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Cost>,
}

/// Where a cost comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.number) && has(self.metadata))")
    .message("set one of `number` and `metadata`, not both"))]
pub struct Cost {
    /// Which of the two.
    pub from: CostFrom,
    /// The cost itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub number: Option<u64>,
    /// Where the request's dynamic metadata holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<CostMetadata>,
}

/// Where a cost comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CostFrom {
    /// `number`.
    Number,
    /// `metadata`.
    Metadata,
}

/// A place in the dynamic metadata of a request that holds a cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostMetadata {
    /// The namespace, as a rule the name of the filter that wrote it.
    pub namespace: String,
    /// The key.
    pub key: String,
}

/// A place in the dynamic metadata of a request that holds a limit: `requests_per_unit` and `unit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitMetadata {
    /// The namespace, as a rule the name of the filter that wrote it.
    #[schemars(length(min = 1))]
    pub namespace: String,
    /// The key.
    #[schemars(length(min = 1))]
    pub key: String,
}
