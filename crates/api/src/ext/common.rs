//! Shapes that several kinds share: references, fractions, headers, string matches.

use kube::{
    KubeSchema,
    core::{Message, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An API group: empty for the core group.
pub(crate) const GROUP_PATTERN: &str = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A kind, as in `kind:`.
pub(crate) const KIND_PATTERN: &str = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$";
/// A DNS label, as namespaces are.
pub(crate) const NAMESPACE_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A DNS name without a wildcard.
pub(crate) const HOSTNAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// The name of a header (RFC 9110, token).
pub(crate) const HEADER_NAME_PATTERN: &str = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$";

pub(crate) fn secret_kind() -> String {
    "Secret".to_owned()
}

fn service_kind() -> String {
    "Service".to_owned()
}

fn weight() -> i32 {
    1
}

fn hundred() -> i32 {
    100
}

/// A reference to an object in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// The API group; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// The kind.
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A reference to a Secret, or to another kind that holds the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretObjectReference {
    /// The API group; empty, the default, is the core group.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// The kind; `Secret` unless set.
    #[serde(default = "secret_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace; that of the referring resource unless set. Another one needs a ReferenceGrant there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE_PATTERN))]
    pub namespace: Option<String>,
}

/// A reference to one back end, the older form of [`BackendRef`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = service_needs_port())]
pub struct BackendObjectReference {
    /// The API group; empty, the default, is the core group.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// The kind; `Service` unless set.
    #[serde(default = "service_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace; that of the referring resource unless set. Another one needs a ReferenceGrant there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE_PATTERN))]
    pub namespace: Option<String>,
    /// The port; required for a Service, and not the target port of its pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}

/// A reference to a back end that answers for a filter, a log or a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = service_needs_port())]
pub struct BackendRef {
    /// The API group; empty, the default, is the core group.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// The kind: `Service` unless set, or `Backend` of this group.
    #[serde(default = "service_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace; that of the referring resource unless set. Another one needs a ReferenceGrant there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE_PATTERN))]
    pub namespace: Option<String>,
    /// The port; required for a Service, and not the target port of its pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// This back end's share of the requests, relative to the sum of all weights beside it.
    #[serde(default = "weight")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: i32,
    /// Whether it's used only while the back ends that are no fallback are unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
}

impl From<BackendObjectReference> for BackendRef {
    fn from(reference: BackendObjectReference) -> Self {
        let BackendObjectReference { group, kind, name, namespace, port } = reference;
        Self { group, kind, name, namespace, port, weight: weight(), fallback: None }
    }
}

fn service_needs_port() -> Rule {
    Rule::new("size(self.group) == 0 && self.kind == 'Service' ? has(self.port) : true")
        .message("a reference to a Service needs a port: set `port` to a port of the Service")
}

/// A part of a whole: `numerator / denominator`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.numerator <= self.denominator")
    .message("`numerator` must not be greater than `denominator`"))]
pub struct Fraction {
    /// How many of [`Fraction::denominator`].
    #[schemars(range(min = 0))]
    pub numerator: i32,
    /// The whole; 100 unless set.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub denominator: i32,
}

/// A header and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The name; letters of either case are the same.
    #[schemars(length(min = 1, max = 256), regex(pattern = HEADER_NAME_PATTERN))]
    pub name: String,
    /// The value.
    #[schemars(length(min = 1, max = 4096))]
    pub value: String,
}

/// Matches a string.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StringMatch {
    /// How `value` is compared.
    #[serde(default)]
    pub r#type: StringMatchType,
    /// What the string is compared with.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// How a string is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StringMatchType {
    /// It is the value.
    #[default]
    Exact,
    /// It begins with the value.
    Prefix,
    /// It ends with the value.
    Suffix,
    /// The whole of it matches the value, an RE2 regular expression.
    RegularExpression,
}

/// A status that answers for a service which is down: one that Envoy can send by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ErrorStatus(u16);

/// The statuses from 400 on that have a meaning.
const ERROR_STATUSES: [u16; 37] = [
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426,
    428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
];

impl ErrorStatus {
    /// The status code.
    pub fn code(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for ErrorStatus {
    type Error = String;

    fn try_from(code: u16) -> Result<Self, String> {
        match ERROR_STATUSES.contains(&code) {
            true => Ok(Self(code)),
            false => Err(format!("{code} is not an HTTP status for an error, such as 403 or 503")),
        }
    }
}

impl From<ErrorStatus> for u16 {
    fn from(status: ErrorStatus) -> Self {
        status.0
    }
}

impl JsonSchema for ErrorStatus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorStatus".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "format": "int32", "enum": ERROR_STATUSES.as_slice()})
    }
}

/// Back ends of a filter are of kinds that can serve it.
pub(crate) fn backends_are(kinds: &[&str], groups: &[&str]) -> Rule {
    let list = |words: &[&str]| format!("['{}']", words.join("', '"));
    let (kinds, groups) = (list(kinds), list(groups));
    let rule = format!("!has(self.backendRefs) || self.backendRefs.all(b, b.kind in {kinds} && b.group in {groups})");
    Rule::new(rule).message(Message::Message(format!("`backendRefs` must be of `kind` {kinds} and `group` {groups}")))
}
