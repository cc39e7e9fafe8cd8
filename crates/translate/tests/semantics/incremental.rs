//! What is remembered only saves work: any sequence of changes gives what a fresh translation gives.

use crate::common::{BASE, options, resources};
use api::{Object, ObjectRef, Resources};
use proptest::prelude::*;
use serde_json::json;
use translate::{Translation, Translator};

/// One change.
#[derive(Clone, Debug)]
enum Change {
    Put(serde_json::Value),
    Remove(&'static str, String),
}

fn route() -> impl Strategy<Value = Change> {
    let host = prop_oneof![Just("a.org"), Just("b.org"), Just("*.org")];
    let backend = prop_oneof![Just("s"), Just("t"), Just("none")];
    let path = prop_oneof![Just("/"), Just("/x"), Just("(")];
    (0..4_u8, host, backend, path, any::<bool>()).prop_map(|(name, host, backend, path, grpc)| {
        let kind = if grpc { "GRPCRoute" } else { "HTTPRoute" };
        let mut rule = json!({"backendRefs": [{"name": backend, "port": 80}]});
        if path == "/x" {
            rule["name"] = json!("rule");
        }
        if !grpc {
            let r#type = if path == "(" { "RegularExpression" } else { "PathPrefix" };
            rule["matches"] = json!([{"path": {"type": r#type, "value": path}}]);
        }
        Change::Put(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": format!("r{name}")},
            "spec": {"parentRefs": [{"name": "g"}], "hostnames": [host], "rules": [rule]},
        }))
    })
}

fn layer4() -> impl Strategy<Value = Change> {
    (0..3_u8, prop_oneof![Just("s"), Just("none")]).prop_map(|(name, backend)| {
        Change::Put(json!({
            "apiVersion": "gateway.networking.k8s.io/v1alpha2", "kind": "TCPRoute", "metadata": {"name": format!("t{name}")},
            "spec": {"parentRefs": [{"name": "g", "sectionName": "bytes"}],
            "rules": [{"backendRefs": [{"name": backend, "port": 80}]}]},
        }))
    })
}

/// Policies about a route, a rule that may not be there, the gateway, and TLS to a back end.
fn policies() -> impl Strategy<Value = Change> {
    let target = prop_oneof![
        Just(json!({"kind": "HTTPRoute", "name": "r0"})),
        Just(json!({"kind": "HTTPRoute", "name": "r1", "sectionName": "rule"})),
        Just(json!({"kind": "GRPCRoute", "name": "r0"})),
        Just(json!({"kind": "TCPRoute", "name": "t0"})),
        Just(json!({"kind": "Gateway", "name": "g"})),
    ];
    let policy = (0..3_u8, target, any::<bool>()).prop_map(|(name, mut target, limit)| {
        target["group"] = json!("gateway.networking.k8s.io");
        let limits = json!({"type": "Global", "global": {"rules": [{"limit": {"requests": 1, "unit": "Hour"}}]}});
        let (kind, field, value) = match limit {
            true => ("BackendTrafficPolicy", "rateLimit", limits),
            false => ("SecurityPolicy", "extAuth", json!({"grpc": {"backendRefs": [{"name": "t", "port": 80}]}})),
        };
        Change::Put(json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": kind, "metadata": {"name": format!("p{name}")},
            "spec": {"targetRefs": [target], field: value},
        }))
    });
    let tls = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy", "metadata": {"name": "tls"},
        "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
            "validation": {"hostname": "s.org", "wellKnownCACertificates": "System"}},
    });
    prop_oneof![4 => policy, 1 => Just(Change::Put(tls))]
}

fn surroundings() -> impl Strategy<Value = Change> {
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "t"}, "spec": {"ports": [{"port": 80}]}});
    let gateway = |hostname: &str| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g"},
            "spec": {"gatewayClassName": "c", "listeners": [
                {"name": "one", "port": 80, "protocol": "HTTP"},
                {"name": "two", "port": 80, "protocol": "HTTP", "hostname": hostname},
                {"name": "bytes", "port": 81, "protocol": "TCP"}]},
        })
    };
    prop_oneof![
        Just(Change::Put(service)),
        Just(Change::Remove("Service", "t".to_owned())),
        Just(Change::Put(gateway("a.org"))),
        Just(Change::Put(gateway("*.org"))),
        Just(Change::Remove("Gateway", "g".to_owned())),
        policies(),
        (0..3_u8).prop_map(|name| Change::Remove("SecurityPolicy", format!("p{name}"))),
        (0..3_u8).prop_map(|name| Change::Remove("TCPRoute", format!("t{name}"))),
        (0..4_u8).prop_map(|name| Change::Remove("HTTPRoute", format!("r{name}"))),
        (0..4_u8).prop_map(|name| Change::Remove("GRPCRoute", format!("r{name}"))),
    ]
}

fn apply(resources: &mut Resources, change: &Change) {
    match change {
        Change::Put(document) => {
            let object: Object = api::parse(document.clone()).unwrap().object;
            resources.insert(object);
        }
        Change::Remove(kind, name) => {
            let group = match *kind {
                "Service" => "",
                "SecurityPolicy" => "gateway.envoyproxy.io",
                _ => "gateway.networking.k8s.io",
            };
            resources.remove(&ObjectRef::new(group, kind, "default", name));
        }
    }
}

fn same(a: &Translation, b: &Translation) -> bool {
    a.gateways == b.gateways && a.reports == b.reports
}

proptest! {
    #[test]
    fn changes_one_by_one_are_changes_at_once(changes in proptest::collection::vec(prop_oneof![4 => route(), 2 => surroundings(),
        1 => layer4()], 1..25)) {
        let mut resources = resources(BASE);
        let mut translator = Translator::new(options());
        for change in &changes {
            apply(&mut resources, change);
            let step = translator.translate(&resources);
            let fresh = Translator::new(options()).translate(&resources);
            prop_assert!(same(&step, &fresh), "after {change:?}:\n{step:#?}\n{fresh:#?}");
        }
    }
}

#[test]
fn nothing_changed_is_the_same_pointer() {
    let gateway = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: c, \
        listeners: [{name: http, port: 80, protocol: HTTP}]}}";
    let resources = resources(&format!("{BASE}{gateway}"));
    let mut translator = Translator::new(options());
    let first = translator.translate(&resources);
    let second = translator.translate(&resources);
    assert!(std::sync::Arc::ptr_eq(&first.gateways[0], &second.gateways[0]));
}
