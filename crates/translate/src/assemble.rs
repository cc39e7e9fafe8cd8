//! One fleet, put together.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use api::Stored;
use ir::{Cluster, ClusterName, Discovery, DnsEndpoint, Gateway, Listener, Transport, UpstreamProtocol};

use crate::{
    routes::{Outcome, RouteScope},
    sockets::sockets,
    tables::{Attached, TableBuilder},
    telemetry,
};

/// The fleets of the translation before: an unchanged one stays the same `Arc`.
#[derive(Debug, Default)]
pub(crate) struct FleetMemo(HashMap<Arc<str>, Arc<Gateway>>);

/// Puts a fleet together.
pub(crate) fn gateway(
    scope: RouteScope<'_>,
    fleet_index: usize,
    outcomes: &[Arc<Outcome>],
    routes: &[Vec<Attached<'_>>],
    tables: &mut TableBuilder<'_>,
    memo: &mut FleetMemo,
) -> Arc<Gateway> {
    let plan = scope.plan;
    let fleet = &plan.fleets[fleet_index];
    let before = memo.0.get(&fleet.name);
    let mut clusters = BTreeMap::new();
    let mut secrets = fleet.secrets.clone();
    let mut limited = false;
    for attachment in outcomes.iter().flat_map(|outcome| outcome.attachments()) {
        let listener = &plan.listeners[attachment.listener];
        if listener.fleet == fleet_index && listener.served() {
            let used = &attachment.compiled.used;
            clusters.extend(used.clusters.iter().map(|(name, cluster)| (Arc::clone(name), Arc::clone(cluster))));
            secrets.extend(used.secrets.iter().map(|(name, secret)| (Arc::clone(name), Arc::clone(secret))));
            limited |= attachment.compiled.entries.iter().any(|entry| entry.route.features.rate_limit.is_some());
        }
    }
    let rate_limit_service = limited.then(|| rate_limit_cluster(scope, &mut clusters)).flatten();
    let telemetry = telemetry::telemetry(scope, fleet_index, &mut clusters, &mut secrets);
    let listeners = sockets(plan, fleet_index, routes, tables);
    let gateway = Gateway {
        name: Arc::clone(&fleet.name),
        gateways: fleet.gateways.iter().map(|index| plan.gateways[*index].resource.reference()).collect(),
        listeners: keep(listeners, before),
        clusters,
        secrets,
        proxy: Arc::clone(&fleet.proxy.spec),
        telemetry,
        rate_limit_service,
    };
    let gateway = match before {
        Some(before) if same(before, &gateway) => Arc::clone(before),
        _ => Arc::new(gateway),
    };
    memo.0.insert(Arc::clone(&gateway.name), Arc::clone(&gateway));
    gateway
}

/// The cluster of the rate limit service.
fn rate_limit_cluster(
    scope: RouteScope<'_>,
    clusters: &mut BTreeMap<ClusterName, Arc<Cluster>>,
) -> Option<ClusterName> {
    let (hostname, port) = scope.options.rate_limit_service.clone()?;
    let name: ClusterName = "rate-limit-service".into();
    let endpoint = DnsEndpoint { hostname, port, zone: None, priority: 0, weight: None };
    let cluster = Cluster {
        name: Arc::clone(&name),
        discovery: Discovery::Dns { endpoints: vec![endpoint], family: None },
        protocol: UpstreamProtocol::Http2,
        tls: None,
        connect_timeout: std::time::Duration::from_secs(1),
        ejects_failing: false,
        sources: Vec::new(),
    };
    clusters.insert(Arc::clone(&name), Arc::new(cluster));
    Some(name)
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
    let same_map = |a: &BTreeMap<Arc<str>, Arc<Cluster>>, b: &BTreeMap<Arc<str>, Arc<Cluster>>| {
        a.len() == b.len()
            && a.iter().zip(b).all(|((a_name, a), (b_name, b))| a_name == b_name && (Arc::ptr_eq(a, b) || a == b))
    };
    a.gateways == b.gateways
        && a.listeners.len() == b.listeners.len()
        && a.listeners.iter().zip(&b.listeners).all(|(a, b)| Arc::ptr_eq(a, b))
        && same_map(&a.clusters, &b.clusters)
        && a.secrets == b.secrets
        && (Arc::ptr_eq(&a.proxy, &b.proxy) || a.proxy == b.proxy)
        && a.telemetry == b.telemetry
        && a.rate_limit_service == b.rate_limit_service
}
