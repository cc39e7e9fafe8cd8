//! Merging a policy into a less specific one.

use api::ext::MergeType;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::problem::Problem;

/// A policy and the namespace in which its references lead.
pub(super) struct Said<T> {
    pub(super) spec: T,
    pub(super) namespace: String,
}

/// Merges a policy into its parent. The references of a parent in another namespace stay there, so that they need that
/// namespace's grant; the merged policy is the child's. `JSONMerge` is RFC 7386. `StrategicMerge` is the same, but lists whose
/// items have names are merged item by item.
pub(super) fn merge<T: Serialize + DeserializeOwned>(
    parent: &Said<T>,
    child: &Said<&T>,
    merge_type: MergeType,
) -> Result<T, Problem> {
    let merged = serde_json::to_value(&parent.spec).and_then(|mut base| {
        let mut patch = serde_json::to_value(child.spec)?;
        if parent.namespace != child.namespace {
            settle(&mut base, &parent.namespace);
        }
        // Targets are whose policy it is, not what it says.
        for field in ["targetRef", "targetRefs", "targetSelectors", "mergeType"] {
            if let (Value::Object(base), Value::Object(patch)) = (&mut base, &mut patch) {
                base.remove(field);
                patch.remove(field);
            }
        }
        apply(&mut base, patch, merge_type == MergeType::StrategicMerge);
        serde_json::from_value(base)
    });
    merged.map_err(|error| Problem::new("Invalid", format!("merged with the parent's policy it is not valid: {error}")))
}

/// Gives references without a namespace the one they lead into.
fn settle(value: &mut Value, namespace: &str) {
    let is_reference =
        value.get("name").is_some_and(Value::is_string) && value.get("kind").is_some_and(Value::is_string);
    match value {
        Value::Object(fields) => {
            if is_reference {
                fields.entry("namespace").or_insert_with(|| namespace.into());
            }
            fields.values_mut().for_each(|field| settle(field, namespace));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| settle(item, namespace)),
        _ => {}
    }
}

fn apply(base: &mut Value, patch: Value, strategic: bool) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                match value {
                    Value::Null => drop(base.remove(&key)),
                    value => apply(base.entry(key).or_insert(Value::Null), value, strategic),
                }
            }
        }
        (Value::Array(base), Value::Array(patch)) if strategic && named(base) && named(&patch) => {
            for item in patch {
                match base.iter_mut().find(|known| known.get("name") == item.get("name")) {
                    Some(known) => apply(known, item, strategic),
                    None => base.push(item),
                }
            }
        }
        (base, patch) => *base = patch,
    }
}

fn named(items: &[Value]) -> bool {
    items.iter().all(|item| item.get("name").is_some_and(Value::is_string))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(strategic: bool) -> Value {
        let mut base = json!({"a": {"x": 1, "y": 2}, "list": [{"name": "one", "v": 1}, {"name": "two", "v": 2}]});
        let patch = json!({"a": {"y": 3, "z": 4}, "list": [{"name": "two", "v": 5}, {"name": "three", "v": 6}]});
        apply(&mut base, patch, strategic);
        base
    }

    #[test]
    fn json_merge_replaces_lists() {
        let list = json!([{"name": "two", "v": 5}, {"name": "three", "v": 6}]);
        assert_eq!(merged(false), json!({"a": {"x": 1, "y": 3, "z": 4}, "list": list}));
    }

    #[test]
    fn strategic_merge_merges_named_items() {
        let list = json!([{"name": "one", "v": 1}, {"name": "two", "v": 5}, {"name": "three", "v": 6}]);
        assert_eq!(merged(true), json!({"a": {"x": 1, "y": 3, "z": 4}, "list": list}));
    }
}
