//! `EnvoyProxy.bootstrap`: the user replaces, merges or patches what Envoy is started with.

use ir::api::ext::envoy_proxy::bootstrap::{Bootstrap, BootstrapType, JsonPatch, PatchOperation};
use serde_json::{Value, json};
use serde_json_path::JsonPath;

use super::BootstrapError;

/// Applies the user's changes.
pub(super) fn apply(mut ours: Value, theirs: &Bootstrap) -> Result<Value, BootstrapError> {
    match theirs.r#type {
        BootstrapType::Replace => value(theirs),
        BootstrapType::Merge => {
            merge(&mut ours, value(theirs)?);
            Ok(ours)
        }
        BootstrapType::JSONPatch => {
            for (index, operation) in theirs.json_patches.iter().enumerate() {
                patch(&mut ours, operation).map_err(|reason| BootstrapError::Patch { index, reason })?;
            }
            Ok(ours)
        }
    }
}

fn value(bootstrap: &Bootstrap) -> Result<Value, BootstrapError> {
    serde_saphyr::from_str(bootstrap.value.as_deref().unwrap_or_default())
        .map_err(|error| BootstrapError::Yaml(error.to_string()))
}

/// Merges as protobuf does: objects field by field, lists one after the other, and the later of two single values.
fn merge(ours: &mut Value, theirs: Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                match ours.get_mut(&key) {
                    Some(ours) => merge(ours, value),
                    None => drop(ours.insert(key, value)),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => ours.extend(theirs),
        (ours, theirs) => *ours = theirs,
    }
}

/// Applies one operation, at each place that its JSONPath finds.
pub(crate) fn patch(document: &mut Value, operation: &JsonPatch) -> Result<(), String> {
    let pointers = match &operation.json_path {
        None => vec![operation.path.clone().unwrap_or_default()],
        Some(expression) => {
            let path = JsonPath::parse(expression).map_err(|error| format!("jsonPath: {error}"))?;
            let below = operation.path.as_deref().unwrap_or_default();
            let found = path.query_located(document);
            let pointers: Vec<String> =
                found.locations().map(|place| format!("{}{below}", place.to_json_pointer())).collect();
            if pointers.is_empty() {
                return Err(format!("jsonPath {expression} finds nothing"));
            }
            pointers
        }
    };
    for pointer in pointers {
        let one = serde_json::from_value::<json_patch::PatchOperation>(json_operation(operation, &pointer))
            .map_err(|error| error.to_string())?;
        json_patch::patch(document, &[one]).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn json_operation(operation: &JsonPatch, path: &str) -> Value {
    let mut json = json!({"op": name(operation.op), "path": path});
    if let Some(from) = &operation.from {
        json["from"] = json!(from);
    }
    if matches!(operation.op, PatchOperation::Add | PatchOperation::Replace | PatchOperation::Test) {
        json["value"] = operation.value.clone().unwrap_or(Value::Null);
    }
    json
}

fn name(operation: PatchOperation) -> &'static str {
    match operation {
        PatchOperation::Add => "add",
        PatchOperation::Remove => "remove",
        PatchOperation::Replace => "replace",
        PatchOperation::Move => "move",
        PatchOperation::Copy => "copy",
        PatchOperation::Test => "test",
    }
}
