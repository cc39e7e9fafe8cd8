//! Resources from YAML, and questions to a translation.

use std::sync::Arc;

use api::{ObjectRef, Rejection, Resources};
use serde_json::Value;
use translate::{Options, Translation, Translator};

/// The controller's name in all tests.
pub(crate) const CONTROLLER: &str = "example.com/portcullis";

/// A class and a gateway with one HTTP listener, which most cases start from.
pub(crate) const BASE: &str = "
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: c}, spec: {controllerName: example.com/portcullis}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}
---
";

/// Reads documents of YAML into resources.
pub(crate) fn resources(yaml: &str) -> Resources {
    let mut resources = Resources::default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("the test's YAML is valid");
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        let parsed = api::parse(document).expect("the test's document is valid");
        assert_eq!(parsed.unknown, Vec::<String>::new(), "{:?}", parsed.object.reference());
        resources.insert(parsed.object);
    }
    resources
}

/// Notes what a fleet's Envoys refused.
pub(crate) fn refuse(resources: &mut Resources, fleet: &str, reference: &ObjectRef, rejection: Rejection) {
    let facts = Arc::make_mut(&mut resources.facts);
    facts.rejected.entry(fleet.into()).or_default().insert(reference.clone(), rejection);
}

/// The options of all tests.
pub(crate) fn options() -> Options {
    Options {
        controller_name: CONTROLLER.to_owned(),
        enable_backend: true,
        rate_limit_service: Some(translate::ServiceAddress {
            host: "127.0.0.1".to_owned(),
            port: 8081,
            certified_name: None,
        }),
        ..Options::default()
    }
}

/// Translates [`BASE`] and more.
pub(crate) fn translate(yaml: &str) -> Translation {
    Translator::new(options()).translate(&resources(&format!("{BASE}{yaml}")))
}

/// The status of a resource; kinds of the Gateway API need no group.
pub(crate) fn status(translation: &Translation, kind: &str, name: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let found = (&translation.reports).into_iter().find(|(reference, _)| {
        let ObjectRef { kind: known, namespace: in_namespace, name: named, .. } = &***reference;
        known == kind && named == name && (in_namespace == namespace || in_namespace.is_empty())
    });
    found.map(|(_, report)| report.to_json(CONTROLLER)).unwrap_or_default()
}

/// `Type=Status/Reason` of all conditions, at any depth, in order.
pub(crate) fn conditions(status: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(status, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if fields.contains_key("reason") => {
            let text = |field: &str| fields[field].as_str().unwrap_or_default().to_owned();
            found.push(format!("{}={}/{}", text("type"), text("status"), text("reason")));
        }
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// The conditions of a route towards its first parent, without those that are as they should be.
pub(crate) fn problems(translation: &Translation, kind: &str, name: &str) -> Vec<String> {
    let mut all = conditions(&status(translation, kind, name));
    all.retain(|item| !matches!(item.as_str(), "Accepted=True/Accepted" | "ResolvedRefs=True/ResolvedRefs"));
    all
}

/// Each table's hosts with the names of their routes: `table domain: route, route`.
pub(crate) fn hosts(translation: &Translation) -> Vec<String> {
    let mut lines = Vec::new();
    for gateway in &translation.gateways {
        for listener in &gateway.listeners {
            let ir::Transport::Tcp(chains) = &listener.transport else { continue };
            for chain in chains {
                let ir::Protocol::Http(http) = &chain.protocol else { continue };
                for host in &http.routes.hosts {
                    let routes: Vec<_> = host.routes.iter().map(|route| &*route.name).collect();
                    let misdirected = if host.misdirected { " 421" } else { "" };
                    lines.push(format!("{} {}:{misdirected} {}", chain.name, host.domain, routes.join(", ")));
                }
            }
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}
