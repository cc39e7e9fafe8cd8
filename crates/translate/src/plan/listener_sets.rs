//! ListenerSets: listeners that others than the gateway's owner add to it (GEP-1713).

use std::{collections::HashMap, sync::Arc};

use api::{
    ObjectRef, Resources, Stored,
    gateway::{GROUP, Gateway, ListenerSet, ListenerSetsFrom, listener_set_listeners},
};

use super::{Fleet, GatewayPlan, ListenerPlan, Parent, listeners};
use crate::{grants::Referrer, report::Condition, selector::Namespaces};

/// Attaches the listener sets that may, after the gateways' own listeners, in order of age.
pub(super) fn attach(
    resources: &Resources,
    fleets: &mut [Fleet],
    gateways: &mut [GatewayPlan],
    parents: &mut HashMap<ObjectRef, Parent>,
    all: &mut Vec<ListenerPlan>,
) {
    let mut sets: Vec<_> = resources.listener_sets.iter().collect();
    sets.sort_by_cached_key(|set| set.age());
    for set in sets {
        let Some(index) = gateways.iter().position(|plan| is_parent(set, &plan.resource)) else { continue };
        let plan = &mut gateways[index];
        let conditions = conditions(resources, set, plan);
        let first = all.len();
        if conditions.is_empty() {
            let gateway = Arc::clone(&plan.resource);
            let owner = listeners::Owner {
                reference: set.reference(),
                referrer: Referrer::of(&**set),
                gateway_index: index,
                gateway: &gateway,
            };
            let own = listener_set_listeners(set);
            all.extend(
                own.iter()
                    .map(|item| listeners::listener(resources, &owner, item, plan.fleet, &mut fleets[plan.fleet])),
            );
        }
        let listeners = (first..all.len()).collect();
        let parent = Parent { gateway: index, listeners, listener_set: Some(conditions), generation: set.generation() };
        parents.insert(set.reference(), parent);
    }
}

/// Counts the sets that are attached: those of which something is served.
pub(super) fn count(gateways: &mut [GatewayPlan], parents: &HashMap<ObjectRef, Parent>, all: &[ListenerPlan]) {
    let sets = parents.values().filter(|parent| parent.listener_set.is_some());
    for set in sets.filter(|set| set.listeners.iter().any(|index| all[*index].served())) {
        gateways[set.gateway].listener_sets += 1;
    }
}

/// Whether a set names a gateway as its parent.
fn is_parent(set: &ListenerSet, gateway: &Gateway) -> bool {
    let parent = &set.spec.parent_ref;
    parent.name == gateway.name()
        && parent.namespace.as_deref().unwrap_or(set.namespace()) == gateway.namespace()
        && parent.group.as_deref().unwrap_or(GROUP) == Gateway::GROUP
        && parent.kind.as_deref().unwrap_or(Gateway::KIND) == Gateway::KIND
}

/// Why a set may not attach; nothing when it may.
fn conditions(resources: &Resources, set: &ListenerSet, plan: &GatewayPlan) -> Vec<Condition> {
    let gateway = &plan.resource;
    let name = format!("Gateway {}/{}", gateway.namespace(), gateway.name());
    if !allowed(gateway).allow(resources, gateway.namespace(), set.namespace()) {
        let message =
            format!("{name} takes no listener sets from namespace {}; its allowedListeners can", set.namespace());
        return ["Accepted", "Programmed"].map(|kind| Condition::no(kind, "NotAllowed", &message)).to_vec();
    }
    if !plan.accepted {
        let message = format!("{name} is not accepted");
        return ["Accepted", "Programmed"].map(|kind| Condition::no(kind, "ParentNotAccepted", &message)).to_vec();
    }
    Vec::new()
}

/// The namespaces that a gateway takes listener sets from: none, unless it says so.
fn allowed(gateway: &Gateway) -> Namespaces {
    let allowed = gateway.spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    match allowed.and_then(|namespaces| namespaces.from.as_ref()) {
        None | Some(ListenerSetsFrom::None) => Namespaces::None,
        Some(ListenerSetsFrom::Same) => Namespaces::Same,
        Some(ListenerSetsFrom::All) => Namespaces::All,
        Some(ListenerSetsFrom::Selector) => {
            Namespaces::selected(allowed.and_then(|namespaces| namespaces.selector.as_ref()))
        }
    }
}
