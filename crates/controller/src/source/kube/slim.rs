//! Takes out of a document what nobody here reads: of ten thousand objects only what matters is remembered, and a change
//! of the rest is no change.

use api::{
    Kind,
    slices::{IMPORT_NAME, SERVICE_NAME},
};
use serde_json::{Map, Value};

/// Metadata that is read, of any kind. `uid` names the owner of what is made for a Gateway.
const METADATA: [&str; 8] =
    ["name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp", "labels", "annotations"];
/// The manifest as it was applied: as large as the rest together.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Leaves what is read.
pub(super) fn slim(row: &Kind, document: &mut Value) {
    let metadata: &[&str] = match row.kind {
        // The finalizer is ours.
        "GatewayClass" => &[&METADATA[..], &["finalizers"]].concat(),
        "Namespace" => &["name", "labels"],
        "EndpointSlice" => &["name", "namespace", "labels"],
        "Secret" | "ConfigMap" => &["name", "namespace"],
        _ => &METADATA,
    };
    keep(&mut document["metadata"], metadata);
    if let Some(annotations) = document["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    match row.kind {
        "Namespace" => keep(document, &["apiVersion", "kind", "metadata"]),
        "Service" => slim_service(document),
        "ServiceImport" => keep(document, &["apiVersion", "kind", "metadata", "spec"]),
        "EndpointSlice" => slim_slice(document),
        "Secret" | "ConfigMap" => keep(document, &["apiVersion", "kind", "metadata", "type", "data", "binaryData"]),
        _ => {}
    }
}

fn slim_service(document: &mut Value) {
    keep(document, &["apiVersion", "kind", "metadata", "spec"]);
    let spec = ["type", "ports", "clusterIP", "clusterIPs", "ipFamilies", "trafficDistribution", "externalName"];
    keep(&mut document["spec"], &spec);
    each(&mut document["spec"], "ports", |port| {
        keep(port, &["name", "port", "protocol", "appProtocol", "targetPort"]);
    });
}

fn slim_slice(document: &mut Value) {
    keep(document, &["apiVersion", "kind", "metadata", "addressType", "endpoints", "ports"]);
    if let Some(labels) = document["metadata"].get_mut("labels") {
        keep(labels, &[SERVICE_NAME, IMPORT_NAME]);
    }
    each(document, "endpoints", |endpoint| keep(endpoint, &["addresses", "conditions", "zone", "hints", "hostname"]));
}

fn keep(value: &mut Value, fields: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        let map: &mut Map<String, Value> = map;
        map.retain(|key, _| fields.contains(&key.as_str()));
    }
}

fn each(value: &mut Value, list: &str, change: impl Fn(&mut Value)) {
    value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slimmed(group: &str, kind: &str, mut document: Value) -> Value {
        slim(Kind::find(group, kind).unwrap(), &mut document);
        document
    }

    #[test]
    fn bookkeeping_goes_and_the_rest_stays() {
        let route = json!({"metadata": {"name": "r", "namespace": "a", "generation": 3, "resourceVersion": "7",
            "managedFields": [{}], "annotations": {LAST_APPLIED: "{}", "x": "y"}}, "spec": {"hostnames": ["h"]}});
        let wanted = json!({"metadata": {"name": "r", "namespace": "a", "generation": 3, "annotations": {"x": "y"}},
            "spec": {"hostnames": ["h"]}});
        assert_eq!(slimmed("gateway.networking.k8s.io", "HTTPRoute", route), wanted);
    }

    #[test]
    fn end_points_keep_what_routing_reads() {
        let slice = json!({"metadata": {"name": "s", "namespace": "a", "generation": 1,
                "labels": {SERVICE_NAME: "v", "app": "v"}},
            "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["1.2.3.4"], "zone": "z", "nodeName": "n", "targetRef": {"kind": "Pod"},
                "conditions": {"ready": true}}]});
        let wanted = json!({"metadata": {"name": "s", "namespace": "a", "labels": {SERVICE_NAME: "v"}},
            "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["1.2.3.4"], "zone": "z", "conditions": {"ready": true}}]});
        assert_eq!(slimmed("discovery.k8s.io", "EndpointSlice", slice), wanted);
    }

    #[test]
    fn a_class_keeps_its_finalizers() {
        let class = json!({"metadata": {"name": "eg", "finalizers": ["f"]}, "spec": {}});
        assert_eq!(slimmed("gateway.networking.k8s.io", "GatewayClass", class.clone()), class);
    }
}
