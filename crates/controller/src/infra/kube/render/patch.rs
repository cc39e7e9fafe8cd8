//! The last word on an object: the user's patch.

use api::ext::envoy_proxy::provider::kubernetes::{KubernetesPatch, PatchType};
use serde_json::{Map, Value};

/// By which of its fields an item of a list is known, where lists are merged item by item: Kubernetes says so of each list
/// in its types (`patchMergeKey`). Those of the kinds that we make; another list is replaced.
const MERGE_KEYS: [(&str, &[&str]); 14] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    // Of a container, and of a Service.
    ("ports", &["containerPort", "port"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("hostAliases", &["ip"]),
    ("resourceClaims", &["name"]),
    ("ownerReferences", &["uid"]),
];

/// What is done instead of merging.
const DIRECTIVE: &str = "$patch";

/// The object with the patch in it.
///
/// # Errors
/// The patch is not a part of an object, or makes it another object.
pub(super) fn apply(mut object: Value, patch: Option<&KubernetesPatch>) -> Result<Value, String> {
    let Some(KubernetesPatch { r#type, value }) = patch else { return Ok(object) };
    if !value.is_object() {
        return Err("value is not an object; write the part of the object that changes".to_owned());
    }
    let before = identity(&object);
    match r#type.unwrap_or_default() {
        PatchType::StrategicMerge => strategic_merge(&mut object, value),
        PatchType::JSONMerge => json_patch::merge(&mut object, value),
    }
    // Otherwise it could be any object of the cluster that we may write.
    if identity(&object) != before {
        return Err("apiVersion, kind, metadata.name and metadata.namespace cannot be patched; for another name set \
                    the field `name` beside `patch`"
            .to_owned());
    }
    Ok(object)
}

fn identity(object: &Value) -> [Option<Value>; 4] {
    ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"].map(|field| object.pointer(field).cloned())
}

fn strategic_merge(object: &mut Value, patch: &Value) {
    let (Value::Object(ours), Value::Object(theirs)) = (&mut *object, patch) else {
        *object = without_directives(patch);
        return;
    };
    if theirs.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") {
        *object = without_directives(patch);
        return;
    }
    for (field, value) in theirs.iter().filter(|(field, _)| !field.starts_with('$')) {
        merge_field(ours, field, value);
    }
}

fn merge_field(ours: &mut Map<String, Value>, field: &str, value: &Value) {
    let is_deleted = value.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
    if value.is_null() || is_deleted {
        ours.remove(field);
        return;
    }
    let keys = MERGE_KEYS.iter().find(|(list, _)| *list == field).map(|(_, keys)| *keys);
    match (ours.get_mut(field), value, keys) {
        (Some(Value::Array(ours)), Value::Array(theirs), Some(keys)) => merge_list(ours, theirs, keys),
        (Some(ours @ Value::Object(_)), Value::Object(_), _) => strategic_merge(ours, value),
        _ => drop(ours.insert(field.to_owned(), without_directives(value))),
    }
}

fn merge_list(ours: &mut Vec<Value>, theirs: &[Value], keys: &[&str]) {
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
    if theirs.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        ours.clear();
    }
    for item in theirs {
        let key = keys.iter().find(|key| item.get(key).is_some());
        let Some(key) = key else { continue };
        // The same port may be there for TCP and for UDP.
        let protocol = |item: &Value| item.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned();
        let is_same = |ours: &Value| ours.get(key) == item.get(key) && protocol(ours) == protocol(item);
        let found = ours.iter().position(is_same);
        match (directive(item).as_deref(), found) {
            (Some("delete"), Some(found)) => drop(ours.remove(found)),
            (Some("delete"), None) => {}
            (_, Some(found)) => strategic_merge(&mut ours[found], item),
            (_, None) => ours.push(without_directives(item)),
        }
    }
}

/// A value that nothing is merged with: directives and nulls in it have done their work.
fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(field, value)| !field.starts_with('$') && !value.is_null());
            Value::Object(kept.map(|(field, value)| (field.clone(), without_directives(value))).collect())
        }
        Value::Array(items) => {
            let kept = items.iter().filter(|item| {
                let fields = item.as_object();
                !fields.is_some_and(|fields| fields.contains_key(DIRECTIVE) && fields.len() == 1)
            });
            Value::Array(kept.map(without_directives).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(r#type: Option<PatchType>, value: &Value) -> Result<Value, String> {
        let object = json!({"kind": "Deployment", "metadata": {"name": "a"}, "spec": {
            "containers": [{"name": "envoy", "image": "x", "args": ["1", "2"]}, {"name": "side"}],
            "ports": [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "protocol": "TCP", "name": "t"}],
            "tolerations": [{"key": "a"}], "labels": {"a": "1", "b": "2"}}});
        apply(object, Some(&KubernetesPatch { r#type, value: json!({"spec": value}) }))
            .map(|value| value["spec"].clone())
    }

    #[test]
    fn a_strategic_merge_knows_items_by_name() {
        let value = json!({
            "containers": [{"name": "envoy", "image": "y", "args": null}, {"name": "more"}, {"name": "side", "$patch": "delete"}],
            "ports": [{"port": 53, "nodePort": 30000}], "tolerations": [{"key": "b"}], "labels": {"a": null, "c": "3"}});
        let expected = json!({
            "containers": [{"name": "envoy", "image": "y"}, {"name": "more"}],
            "ports": [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "protocol": "TCP", "name": "t",
            "nodePort": 30000}],
            "tolerations": [{"key": "b"}], "labels": {"b": "2", "c": "3"}});
        assert_eq!(patched(None, &value), Ok(expected));
    }

    #[test]
    fn directives_replace_and_delete() {
        let value = json!({"labels": {"$patch": "replace", "z": "1"}, "ports": {"$patch": "delete"},
            "containers": [{"$patch": "replace"}, {"name": "only"}]});
        let result = patched(Some(PatchType::StrategicMerge), &value).unwrap();
        assert_eq!(result["labels"], json!({"z": "1"}));
        assert_eq!(result.get("ports"), None);
        assert_eq!(result["containers"], json!([{"name": "only"}]));
    }

    #[test]
    fn a_json_merge_replaces_lists() {
        let result = patched(Some(PatchType::JSONMerge), &json!({"containers": [{"name": "only"}]})).unwrap();
        assert_eq!(result["containers"], json!([{"name": "only"}]));
    }

    #[test]
    fn an_object_stays_the_object_that_it_is() {
        let object = json!({"kind": "Secret", "metadata": {"name": "a"}});
        for value in
            [json!({"metadata": {"name": "b"}}), json!({"kind": "Role"}), json!({"metadata": {"namespace": "n"}})]
        {
            let error = apply(object.clone(), Some(&KubernetesPatch { r#type: None, value })).unwrap_err();
            assert!(error.contains("cannot be patched"), "{error}");
        }
        assert!(apply(object, Some(&KubernetesPatch { r#type: None, value: json!([]) })).is_err());
    }
}
