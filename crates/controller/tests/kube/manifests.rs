//! The objects that tests are made of, as JSON.

use api::{KINDS, Kind, Scope};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use testbed::pki::Identity;

pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io";
pub(crate) const EXTENSIONS: &str = "gateway.envoyproxy.io";
pub(crate) const MULTICLUSTER: &str = "multicluster.x-k8s.io";

/// An object of a kind in the version that we read first.
pub(crate) fn object(group: &str, kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    let row = Kind::find(group, kind).expect("it is a kind");
    let version = match group {
        "" => row.versions[0].to_owned(),
        group => format!("{group}/{}", row.versions[0]),
    };
    let mut metadata = json!({"name": name});
    if row.scope == Scope::Namespaced {
        metadata["namespace"] = json!(namespace);
    }
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
    object["spec"] = spec;
    object
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"test": name}}})
}

/// A class with the name of its controller.
pub(crate) fn class(name: &str, controller: &str) -> Value {
    object(GATEWAY_API, "GatewayClass", "", name, json!({"controllerName": controller}))
}

/// A Gateway with these listeners. Routes of all namespaces may attach.
pub(crate) fn gateway(namespace: &str, name: &str, class: &str, listeners: Value) -> Value {
    let mut listeners = listeners;
    for listener in listeners.as_array_mut().into_iter().flatten() {
        listener["allowedRoutes"] = json!({"namespaces": {"from": "All"}});
    }
    let spec = json!({"gatewayClassName": class, "listeners": listeners,
        "allowedListeners": {"namespaces": {"from": "All"}}});
    object(GATEWAY_API, "Gateway", namespace, name, spec)
}

pub(crate) fn http() -> Value {
    json!([{"name": "http", "port": 80, "protocol": "HTTP"}])
}

/// A listener that shows a certificate.
pub(crate) fn https(name: &str, port: u16, host: &str, secret: &Value) -> Value {
    json!({"name": name, "port": port, "protocol": "HTTPS", "hostname": host, "tls": {"certificateRefs": [secret]}})
}

/// A route of one host to these back ends, on the Gateway `gw` of its namespace.
pub(crate) fn route(namespace: &str, name: &str, host: &str, backends: Value) -> Value {
    let mut spec = json!({"parentRefs": [{"name": "gw"}], "hostnames": [host], "rules": [{}]});
    spec["rules"][0]["backendRefs"] = backends;
    object(GATEWAY_API, "HTTPRoute", namespace, name, spec)
}

/// A Service without pods and a slice with its one address.
pub(crate) fn service(namespace: &str, name: &str, address: &str) -> [Value; 2] {
    let spec = json!({"ports": [{"name": "p", "port": 80, "protocol": "TCP"}]});
    [object("", "Service", namespace, name, spec), slice(namespace, name, "p", "TCP", address)]
}

/// A slice of a Service with one address.
pub(crate) fn slice(namespace: &str, service: &str, port: &str, protocol: &str, address: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-1"), "namespace": namespace,
                     "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": port, "port": 8080, "protocol": protocol}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}]})
}

/// A ServiceImport, and a slice with its one address.
pub(crate) fn service_import(namespace: &str, name: &str, address: &str) -> [Value; 2] {
    let spec = json!({"type": "ClusterSetIP", "ports": [{"name": "p", "port": 80, "protocol": "TCP"}]});
    let mut slice = slice(namespace, name, "p", "TCP", address);
    slice["metadata"]["labels"] = json!({"multicluster.kubernetes.io/service-name": name});
    [object(MULTICLUSTER, "ServiceImport", namespace, name, spec), slice]
}

/// A `Backend` at a host.
pub(crate) fn backend(namespace: &str, name: &str, host: &str) -> Value {
    object(EXTENSIONS, "Backend", namespace, name, json!({"endpoints": [{"fqdn": {"hostname": host, "port": 80}}]}))
}

pub(crate) fn secret(namespace: &str, name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<_, _> =
        data.iter().map(|(key, text)| ((*key).to_owned(), json!(BASE64_STANDARD.encode(text)))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": data})
}

/// The Secret of a certificate.
pub(crate) fn certificate(namespace: &str, name: &str, identity: &Identity) -> Value {
    secret(namespace, name, &[("tls.crt", &identity.cert), ("tls.key", &identity.key)])
}

pub(crate) fn config_map(namespace: &str, name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<_, _> = data.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data})
}

/// A grant in a namespace: for a kind in another one to refer to what is named.
pub(crate) fn grant(namespace: &str, name: &str, from: (&str, &str, &str), to: Value) -> Value {
    let (group, kind, from) = from;
    let mut spec = json!({"from": [{"group": group, "kind": kind, "namespace": from}]});
    spec["to"] = Value::Array(vec![to]);
    object(GATEWAY_API, "ReferenceGrant", namespace, name, spec)
}

/// The definitions of our own kinds, and of those that clusters seldom have, without a schema: what they take, is for us to check.
pub(crate) fn extension_crds() -> String {
    crds(|row| [EXTENSIONS, MULTICLUSTER].contains(&row.group))
}

/// The definitions of all kinds, without a schema.
pub(crate) fn permissive_crds() -> String {
    crds(|row| [EXTENSIONS, GATEWAY_API, MULTICLUSTER].contains(&row.group))
}

fn crds(wanted: impl Fn(&Kind) -> bool) -> String {
    let items: Vec<_> = KINDS.iter().filter(|row| wanted(row)).map(crd).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn crd(row: &Kind) -> Value {
    let anything = json!({"x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}});
    let versions = row.versions.iter().enumerate().map(|(index, version)| {
        json!({"name": version, "served": true, "storage": index == 0, "schema": schema, "subresources": {"status": {}}})
    });
    let scope = match row.scope {
        Scope::Cluster => "Cluster",
        Scope::Namespaced => "Namespaced",
    };
    // A group of the community's wants to know who has approved of it.
    let approved = json!({"api-approved.kubernetes.io": "unapproved, for a test"});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", row.plural, row.group), "annotations": approved},
        "spec": {"group": row.group, "scope": scope, "versions": versions.collect::<Vec<_>>(),
                 "names": {"kind": row.kind, "plural": row.plural, "singular": row.kind.to_lowercase()}}})
}
