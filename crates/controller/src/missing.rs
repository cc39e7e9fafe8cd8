//! What resources name that is not there, where translation has nothing to say: a resource that belongs to nobody gets
//! no status.

use std::sync::Arc;

use api::{Resources, Route, RouteKind, Stored, gateway::ParentRef};

/// One reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Who refers.
    pub from: api::ObjectRef,
    /// The field that refers.
    pub field: String,
    /// What is wrong and how to mend it.
    pub what: String,
}

/// The Gateways without a class of ours, and the routes and listener sets without a parent.
pub fn find(resources: &Resources, controller: &str) -> Vec<Missing> {
    let mut found: Vec<_> =
        resources.gateways.iter().filter_map(|gateway| class(resources, gateway, controller)).collect();
    for route in RouteKind::ALL.into_iter().flat_map(|kind| resources.routes(kind).iter()) {
        found.extend(parents(resources, route));
    }
    for set in resources.listener_sets.iter() {
        let parent = &set.spec.parent_ref;
        let namespace = parent.namespace.as_deref().unwrap_or(set.namespace());
        if resources.gateways.get(namespace, &parent.name).is_none() {
            found.push(not_there(set.reference(), "spec.parentRef", "Gateway", namespace, &parent.name));
        }
    }
    found
}

fn class(resources: &Resources, gateway: &Arc<api::gateway::Gateway>, controller: &str) -> Option<Missing> {
    let name = &gateway.spec.gateway_class_name;
    let what = match resources.gateway_classes.get("", name) {
        None => format!("there is no GatewayClass {name}; add one with controllerName {controller}"),
        Some(class) if class.spec.controller_name != controller => {
            let theirs = &class.spec.controller_name;
            format!("GatewayClass {name} belongs to {theirs}, not to {controller}: this Gateway is not served")
        }
        Some(_) => return None,
    };
    Some(Missing { from: gateway.reference(), field: "spec.gatewayClassName".to_owned(), what })
}

fn parents(resources: &Resources, route: &Route) -> Vec<Missing> {
    let parents = route.spec.parent_refs.iter().flatten();
    if route.spec.parent_refs.iter().flatten().next().is_none() {
        let what = "names no parent, so it is not served; add the Gateway".to_owned();
        return vec![Missing { from: route.reference(), field: "spec.parentRefs".to_owned(), what }];
    }
    parents.enumerate().filter_map(|(index, parent)| lost(resources, route, index, parent)).collect()
}

fn lost(resources: &Resources, route: &Route, index: usize, parent: &ParentRef) -> Option<Missing> {
    let kind = parent.kind.as_deref().unwrap_or("Gateway");
    let namespace = parent.namespace.as_deref().unwrap_or(route.namespace());
    let is_there = match kind {
        "Gateway" => resources.gateways.get(namespace, &parent.name).is_some(),
        "ListenerSet" => resources.listener_sets.get(namespace, &parent.name).is_some(),
        // A parent of another kind is another controller's.
        _ => true,
    };
    let field = format!("spec.parentRefs[{index}]");
    (!is_there).then(|| not_there(route.reference(), &field, kind, namespace, &parent.name))
}

fn not_there(from: api::ObjectRef, field: &str, kind: &str, namespace: &str, name: &str) -> Missing {
    Missing {
        from,
        field: field.to_owned(),
        what: format!("there is no {kind} {namespace}/{name}; add it or name another"),
    }
}
