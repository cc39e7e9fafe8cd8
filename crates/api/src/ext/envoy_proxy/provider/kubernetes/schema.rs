//! The schemas of Kubernetes' own types.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// How the description of Kubernetes' quantities begins.
const QUANTITY: &str = "Quantity is a fixed-point";

/// Makes a schema of Kubernetes' own terse: what its fields mean is said by Kubernetes' documentation, and a CRD with all
/// of it would be too large for `kubectl apply`. Quantities may be numbers too (`cpu: 1`), as Kubernetes has them.
pub(super) fn terse(schema: &mut Schema) {
    if let Some(fields) = schema.as_object_mut() {
        below(fields);
    }
}

fn below(schema: &mut Map<String, Value>) {
    schema.values_mut().for_each(walk);
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(schema) => {
            if let Some(Value::String(description)) = schema.get("description") {
                if description.starts_with(QUANTITY) {
                    schema.remove("type");
                    schema.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
                }
                schema.remove("description");
            }
            below(schema);
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
