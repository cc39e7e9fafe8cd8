//! One fleet, put together.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use api::Stored;
use ir::{Gateway, Listener, Transport};

use crate::{plan::Plan, sockets::sockets, standing::Attached, tables::TableBuilder, usage::Usage};

/// The fleets of the translation before: an unchanged one stays the same `Arc`.
#[derive(Debug, Default)]
pub(crate) struct FleetMemo(HashMap<Arc<str>, Arc<Gateway>>);

/// Puts a fleet together.
pub(crate) fn gateway(
    plan: &Plan,
    fleet_index: usize,
    usage: &mut Usage,
    layer4: &[Vec<Attached>],
    tables: &mut TableBuilder<'_>,
    memo: &mut FleetMemo,
) -> Arc<Gateway> {
    let fleet = &plan.fleets[fleet_index];
    let before = memo.0.get(&fleet.name);
    let gateway = Gateway {
        name: Arc::clone(&fleet.name),
        gateways: fleet.gateways.iter().map(|index| plan.gateways[*index].resource.reference()).collect(),
        listeners: keep(sockets(plan, fleet_index, layer4, tables), before),
        clusters: usage.clusters(),
        secrets: usage.secrets(),
        proxy: Arc::clone(&fleet.proxy.spec),
        telemetry: usage.telemetry.clone(),
        rate_limit_service: usage.rate_limit_service(),
    };
    let gateway = match before {
        Some(before) if same(before, &gateway) => Arc::clone(before),
        _ => Arc::new(gateway),
    };
    memo.0.insert(Arc::clone(&gateway.name), Arc::clone(&gateway));
    gateway
}

/// Keeps the listeners that did not change.
fn keep(listeners: Vec<Arc<Listener>>, before: Option<&Arc<Gateway>>) -> Vec<Arc<Listener>> {
    let old = |listener: &Arc<Listener>| {
        before?.listeners.iter().find(|old| old.name == listener.name && same_listener(old, listener)).cloned()
    };
    listeners.into_iter().map(|listener| old(&listener).unwrap_or(listener)).collect()
}

/// Whether two listeners are the same, without looking into tables, which are the same where they are the same `Arc`.
fn same_listener(a: &Listener, b: &Listener) -> bool {
    let tables = |listener: &Listener| -> Vec<*const ir::RouteTable> {
        match &listener.transport {
            Transport::Udp(_) => Vec::new(),
            Transport::Tcp(chains) => chains
                .iter()
                .filter_map(|chain| match &chain.protocol {
                    ir::Protocol::Http(http) => Some(Arc::as_ptr(&http.routes)),
                    ir::Protocol::Tcp(_) => None,
                })
                .collect(),
        }
    };
    tables(a) == tables(b) && a == b
}

/// Whether two fleets are the same, at the cost of comparing pointers where nothing changed.
fn same(a: &Gateway, b: &Gateway) -> bool {
    a.gateways == b.gateways
        && a.listeners.len() == b.listeners.len()
        && a.listeners.iter().zip(&b.listeners).all(|(a, b)| Arc::ptr_eq(a, b))
        && same_map(&a.clusters, &b.clusters)
        && same_map(&a.secrets, &b.secrets)
        && (Arc::ptr_eq(&a.proxy, &b.proxy) || a.proxy == b.proxy)
        && a.telemetry == b.telemetry
        && a.rate_limit_service == b.rate_limit_service
}

fn same_map<T: PartialEq>(a: &Arc<BTreeMap<Arc<str>, Arc<T>>>, b: &Arc<BTreeMap<Arc<str>, Arc<T>>>) -> bool {
    let same = |((a_name, a), (b_name, b)): ((_, &Arc<T>), (_, &Arc<T>))| {
        let (a_name, b_name): (&Arc<str>, &Arc<str>) = (a_name, b_name);
        a_name == b_name && (Arc::ptr_eq(a, b) || a == b)
    };
    Arc::ptr_eq(a, b) || (a.len() == b.len() && a.iter().zip(&**b).all(same))
}
