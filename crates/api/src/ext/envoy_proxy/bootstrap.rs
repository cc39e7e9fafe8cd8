//! What Envoy is started with.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change of the configuration that Envoy is started with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type == 'JSONPatch' ? has(self.jsonPatches) && size(self.jsonPatches) > 0 : has(self.value)")
    .message("`type: JSONPatch` needs `jsonPatches`, the other types need `value`"))]
pub struct Bootstrap {
    /// What is done with it.
    #[serde(default)]
    pub r#type: BootstrapType,
    /// A bootstrap configuration in YAML, or a part of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Changes at places of the configuration, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_patches: Vec<JsonPatch>,
}

/// What is done with the configuration that we start Envoy with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BootstrapType {
    /// The value is merged into it.
    Merge,
    /// The value takes its place.
    #[default]
    Replace,
    /// It's changed by JSON patches.
    JSONPatch,
}

/// An operation of RFC 6902, which may name its place by a JSONPath too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonPatch {
    /// What is done.
    pub op: PatchOperation,
    /// The place, as a JSON pointer; below each place that `jsonPath` finds if that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Places, as a JSONPath (RFC 9535).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
    /// Where `move` and `copy` take the value, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value of `add`, `replace` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any")]
    pub value: Option<serde_json::Value>,
}

fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// What a patch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PatchOperation {
    /// Puts a value in.
    Add,
    /// Takes a value out.
    Remove,
    /// Puts a value in the place of another.
    Replace,
    /// Takes a value from one place to another.
    Move,
    /// Repeats a value at another place.
    Copy,
    /// Fails unless the value is there.
    Test,
}
