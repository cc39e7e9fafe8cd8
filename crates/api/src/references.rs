//! What a resource refers to among the kinds that a cluster is full of: Services (and what stands for them in a set of
//! clusters), Secrets and ConfigMaps. Only those that are referred to need to be read.
//!
//! References have one shape in every kind, so they are found by it: a mapping with a `name` in a field whose name ends
//! in `Ref`, `Refs` or `Secret`. A field that a later version adds is found too. What is found too much is only read in
//! vain; whether a resource may use what it names is for translation to say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{ObjectRef, ServiceImport, Stored};

/// What may be referred to, by group and kind.
const KINDS: [(&str, &str); 4] =
    [("", "Service"), ("", "Secret"), ("", "ConfigMap"), (ServiceImport::GROUP, ServiceImport::KIND)];

/// The objects of these kinds that a document refers to.
pub fn find(document: &Value) -> BTreeSet<ObjectRef> {
    let mut found = BTreeSet::new();
    let namespace = document["metadata"]["namespace"].as_str().unwrap_or_default();
    walk(&document["spec"], namespace, &mut found);
    found
}

fn walk(value: &Value, namespace: &str, found: &mut BTreeSet<ObjectRef>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                if let Some(default) = kind_of_field(key) {
                    match field {
                        Value::Array(items) => {
                            found.extend(items.iter().filter_map(|item| read(item, default, namespace)))
                        }
                        one => found.extend(read(one, default, namespace)),
                    }
                }
                walk(field, namespace, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, namespace, found)),
        _ => {}
    }
}

/// The kind that is meant in a field unless it's said; `None` for a field that is no reference of this sort.
fn kind_of_field(key: &str) -> Option<&'static str> {
    // `secretKeyRef` and the like are a container's: the kubelet reads them. Parents and targets are other kinds.
    let others = key.ends_with("KeyRef") || key.starts_with("parentRef") || key.starts_with("targetRef");
    let is_reference = ["Ref", "Refs", "Secret"].iter().any(|end| key.ends_with(end)) || key == "users";
    match is_reference && !others {
        true if key.starts_with("backend") => Some("Service"),
        true => Some("Secret"),
        false => None,
    }
}

fn read(value: &Value, default: &str, namespace: &str) -> Option<ObjectRef> {
    let fields: &Map<String, Value> = value.as_object()?;
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let (name, kind) = (text("name")?, text("kind").unwrap_or(default));
    let group = text("group").unwrap_or_default();
    let namespace = text("namespace").unwrap_or(namespace);
    (KINDS.contains(&(group, kind)) && !namespace.is_empty()).then(|| ObjectRef::new(group, kind, namespace, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(spec: &Value) -> Vec<String> {
        let document = json!({"metadata": {"namespace": "a", "name": "x"}, "spec": spec});
        find(&document).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn references_of_every_kind_are_found() {
        for (spec, wanted) in [
            // Gateway and ListenerSet
            (
                json!({"listeners": [{"tls": {"certificateRefs": [{"name": "s"}, {"name": "t", "namespace": "b"}]}}],
                       "tls": {"frontend": {"default": {"validation": {"caCertificateRefs": [
                           {"group": "", "kind": "ConfigMap", "name": "c"}]}}},
                           "backend": {"clientCertificateRef": {"name": "u"}}}}),
                vec!["ConfigMap a/c", "Secret a/s", "Secret a/u", "Secret b/t"],
            ),
            // Routes
            (
                json!({"parentRefs": [{"name": "eg"}], "rules": [{"backendRefs": [{"name": "v", "port": 80},
                    {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "w"},
                    {"kind": "ServiceImport", "name": "no"},
                    {"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "i"}],
                    "filters": [{"requestMirror": {"backendRef": {"name": "m", "namespace": "b"}}},
                                {"extensionRef": {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": "f"}}]}]}),
                vec!["Service a/v", "Service b/m", "ServiceImport a/i"],
            ),
            // BackendTLSPolicy
            (
                json!({"targetRefs": [{"group": "", "kind": "Service", "name": "v"}],
                       "validation": {"caCertificateRefs": [{"group": "", "kind": "Secret", "name": "ca"}]}}),
                vec!["Secret a/ca"],
            ),
            // HTTPRouteFilter
            (
                json!({"directResponse": {"body": {"valueRef": {"group": "", "kind": "ConfigMap", "name": "page"}}},
                       "credentialInjection": {"credential": {"valueRef": {"name": "token"}}}}),
                vec!["ConfigMap a/page", "Secret a/token"],
            ),
            // SecurityPolicy
            (
                json!({"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}],
                       "extAuth": {"http": {"backendRefs": [{"name": "auth"}]}},
                       "basicAuth": {"users": {"name": "htpasswd"}}, "oidc": {"clientSecret": {"name": "id"}}}),
                vec!["Secret a/htpasswd", "Secret a/id", "Service a/auth"],
            ),
            // EnvoyProxy: what its pods read is the kubelet's business
            (
                json!({"telemetry": {"tracing": {"provider": {"backendRefs": [{"name": "otel", "namespace": "m"}]}}},
                       "backendTLS": {"clientCertificateRef": {"kind": "Secret", "name": "c"}},
                       "provider": {"kubernetes": {"envoyDeployment": {"container": {"env": [
                           {"name": "X", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}]}}}}}),
                vec!["Secret a/c", "Service m/otel"],
            ),
        ] {
            assert_eq!(found(&spec), wanted, "{spec}");
        }
    }

    #[test]
    fn what_is_no_reference_is_passed_over() {
        assert!(
            found(&json!({"backendRefs": [7, {"name": 7}, {"kind": "Pod", "name": "p"}], "xRef": "name"})).is_empty()
        );
        let class = json!({"metadata": {"name": "eg"}, "spec": {"parametersRef": {"kind": "ConfigMap", "name": "x"}}});
        assert!(find(&class).is_empty());
    }
}
