//! The last word on an object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change of an object, made after all else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesPatch {
    /// How the value is put into the object; `StrategicMerge` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub r#type: Option<PatchType>,
    /// A part of the object.
    #[schemars(schema_with = "any")]
    pub value: serde_json::Value,
}

/// How a patch is put into an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchType {
    /// As `kubectl patch` does: lists such as containers are merged by the name of their items.
    #[default]
    StrategicMerge,
    /// As RFC 7386 says: a list takes the place of a list.
    JSONMerge,
}

fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
