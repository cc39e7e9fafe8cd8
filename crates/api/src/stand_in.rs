//! What stands for a policy that cannot be read: the same policy, of which only the targets are known.
//!
//! Where a policy that guards cannot be read, requests must not pass as if it were not there.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    Object,
    ext::{
        EnvoyExtensionPolicy, SecurityPolicy,
        policy::{PolicyTargetRef, TargetSelector},
    },
    gateway::BackendTlsPolicy,
    object::Stored,
    parse::{drop_nulls, kind_of, parse},
};

/// The name that the stand-in of a `BackendTLSPolicy` asks for, which no certificate has (RFC 6761).
const NOBODY: &str = "unreadable.invalid";

/// Whether policies of a kind guard: what they are about must not be served as if they were not there.
pub fn guards(kind: &str) -> bool {
    [SecurityPolicy::KIND, EnvoyExtensionPolicy::KIND, BackendTlsPolicy::KIND].contains(&kind)
}

/// The stand-in for a document that [`parse`] cannot read, with those of its targets that can be read. `None` where it is no
/// policy that guards, or none of its targets can be read: then nobody can say what it is about.
pub fn stand_in(document: &Value) -> Option<Object> {
    let kind = kind_of(document).ok()?.kind;
    if !guards(kind) {
        return None;
    }
    let mut spec = Map::new();
    if let Some(target) = document["spec"].get("targetRef").and_then(readable::<PolicyTargetRef>) {
        spec.insert("targetRef".to_owned(), target);
    }
    spec.insert("targetRefs".to_owned(), all_readable::<PolicyTargetRef>(&document["spec"]["targetRefs"]));
    if kind == BackendTlsPolicy::KIND {
        spec.insert("validation".to_owned(), json!({"hostname": NOBODY}));
    } else {
        let selectors = all_readable::<TargetSelector>(&document["spec"]["targetSelectors"]);
        spec.insert("targetSelectors".to_owned(), selectors);
    }
    let is_about_something = |value: &Value| match value {
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let targets = spec.iter().filter(|(field, _)| field.as_str() != "validation");
    if !targets.map(|(_, value)| value).any(is_about_something) {
        return None;
    }
    let with = |metadata: Value| {
        let document = json!({"apiVersion": document["apiVersion"], "kind": kind, "metadata": metadata, "spec": spec});
        parse(document).ok().map(|parsed| parsed.object)
    };
    // What cannot be read may stand in the metadata.
    with(document["metadata"].clone()).or_else(|| {
        let metadata = &document["metadata"];
        with(json!({"name": metadata["name"], "namespace": metadata["namespace"]}))
    })
}

/// A value, if it can be read as this type.
fn readable<T: DeserializeOwned>(value: &Value) -> Option<Value> {
    let mut value = value.clone();
    drop_nulls(&mut value);
    T::deserialize(&value).is_ok().then_some(value)
}

fn all_readable<T: DeserializeOwned>(values: &Value) -> Value {
    values.as_array().into_iter().flatten().filter_map(readable::<T>).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(kind: &str, spec: &Value) -> Value {
        let group =
            if kind == "BackendTLSPolicy" { "gateway.networking.k8s.io/v1" } else { "gateway.envoyproxy.io/v1alpha1" };
        json!({"apiVersion": group, "kind": kind, "metadata": {"name": "p", "namespace": "a", "generation": 3}, "spec": spec})
    }

    fn target(name: &str) -> Value {
        json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name})
    }

    #[test]
    fn the_targets_that_can_be_read_are_kept() {
        let spec = json!({"targetRefs": [target("r"), 7], "targetSelectors": [{"kind": "HTTPRoute"}], "extAuth": 7});
        let document = policy("SecurityPolicy", &spec);
        assert!(parse(document.clone()).is_err());
        let Some(Object::SecurityPolicy(found)) = stand_in(&document) else { panic!("no stand-in") };
        let names: Vec<_> = found.spec.target_refs.iter().map(|target| target.name.as_str()).collect();
        assert_eq!((names, found.spec.target_selectors.len(), &found.spec.ext_auth), (vec!["r"], 1, &None));
        assert_eq!((found.metadata.generation, found.metadata.namespace.as_deref()), (Some(3), Some("a")));
    }

    #[test]
    fn every_kind_that_guards_has_one() {
        for kind in ["SecurityPolicy", "EnvoyExtensionPolicy", "BackendTLSPolicy"] {
            let document =
                policy(kind, &json!({"targetRefs": [target("r")], "validation": 7, "extAuth": 7, "extProc": 7}));
            let found = stand_in(&document).map(|object| object.reference().to_string());
            assert_eq!(found, Some(format!("{kind} a/p")));
        }
        assert_eq!(stand_in(&policy("BackendTrafficPolicy", &json!({"targetRefs": [target("r")]}))), None);
    }

    #[test]
    fn nobody_knows_what_one_without_targets_is_about() {
        assert_eq!(stand_in(&policy("SecurityPolicy", &json!({"targetRefs": "r"}))), None);
        assert_eq!(stand_in(&policy("SecurityPolicy", &json!(7))), None);
    }

    #[test]
    fn metadata_may_be_what_cannot_be_read() {
        let mut document = policy("SecurityPolicy", &json!({"targetRefs": [target("r")]}));
        document["metadata"]["labels"] = json!(7);
        assert!(parse(document.clone()).is_err());
        assert_eq!(
            stand_in(&document).map(|object| object.reference().to_string()).as_deref(),
            Some("SecurityPolicy a/p")
        );
    }
}
