//! Sockets. Filter chains are encoded one by one and kept: a socket may have a thousand of them, and most changes touch none.

mod address;
mod hcm;
mod tcp;
mod udp;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use envoy::{
    Message,
    ext::listener::tls_inspector::TlsInspector,
    listener::{self as envoy_listener, Filter, FilterChainMatch, ListenerFilter, filter, listener_filter},
};
use ir::{
    FilterChain, IpFamily, Listener, Protocol, Transport,
    api::{ObjectRef, ext::EnvoyProxySpec},
};

use crate::{
    access_log,
    filters::Needs,
    memo::Memo,
    output::{Origin, Resource, Resources},
    scope::Scope,
    table::TableMemo,
    tls, wire,
};

/// What Envoy holds for a connection that is slower than the other side, as its guide for edge proxies has it.
const BUFFER_BYTES: u32 = 32 << 10;

/// What was made from a listener the last time.
#[derive(Debug, Default)]
pub(crate) struct ListenerMemo {
    context: Option<Context>,
    chains: BTreeMap<Arc<str>, ChainMemo>,
}

/// What else all chains depend on.
#[derive(Clone, Debug, PartialEq)]
struct Context {
    proxy: Arc<EnvoyProxySpec>,
    telemetry: ir::Telemetry,
    rate_limit_service: Option<ir::ClusterName>,
    dynamic_families: BTreeSet<IpFamily>,
    port: u16,
    bound: u16,
    any_tls: bool,
}

#[derive(Debug)]
struct ChainMemo {
    chain: FilterChain,
    needs: Option<Needs>,
    bytes: Bytes,
    sources: Vec<ObjectRef>,
}

/// The tables by the names that chains know them by.
type Tables<'a> = BTreeMap<&'a str, &'a TableMemo>;

/// All listeners of the fleet.
pub(crate) fn listeners(scope: &Scope<'_>, memo: &mut Memo) -> Resources {
    let tables: Tables<'_> = memo.tables.1.iter().map(|(table, memo)| (&*table.name, memo)).collect();
    let mut before = std::mem::take(&mut memo.listeners);
    let mut kept = BTreeMap::new();
    let mut resources = BTreeMap::new();
    for listener in &scope.gateway.listeners {
        let mut memo = before.remove(&listener.name).unwrap_or_default();
        let (bytes, sources) = encode(scope, listener, &tables, &mut memo);
        let origin = Origin::Listener(Arc::clone(listener), sources.into());
        resources.insert(Arc::clone(&listener.name), Resource { bytes, origin });
        kept.insert(Arc::clone(&listener.name), memo);
    }
    memo.listeners = kept;
    Arc::new(resources)
}

fn encode(
    scope: &Scope<'_>,
    listener: &Listener,
    tables: &Tables<'_>,
    memo: &mut ListenerMemo,
) -> (Bytes, Vec<ObjectRef>) {
    let bound = scope.bound(listener.port);
    let chains = match &listener.transport {
        Transport::Udp(proxy) => return (udp::lower(listener, bound, proxy).encode_to_vec().into(), Vec::new()),
        Transport::Tcp(chains) => chains,
    };
    let any_tls = chains.iter().any(|chain| chain.matches_tls);
    let context = Context {
        proxy: Arc::clone(&scope.gateway.proxy),
        telemetry: scope.gateway.telemetry.clone(),
        rate_limit_service: scope.gateway.rate_limit_service.clone(),
        dynamic_families: scope.dynamic_families.clone(),
        port: listener.port,
        bound,
        any_tls,
    };
    if memo.context.as_ref() != Some(&context) {
        *memo = ListenerMemo { context: Some(context), chains: BTreeMap::new() };
    }
    let mut before = std::mem::take(&mut memo.chains);
    let mut out = shell(scope, listener, any_tls).encode_to_vec();
    let mut sources = Vec::new();
    for chain in chains {
        let table = table_name(chain).and_then(|table| tables.get(table).copied());
        let needs = table.map(|table| &table.needs);
        let kept = match before.remove(&chain.name) {
            Some(kept) if kept.needs.as_ref() == needs && same_but_routes(&kept.chain, chain) => kept,
            _ => {
                let (lowered, sources) = filter_chain(scope, listener, chain, table, any_tls);
                ChainMemo {
                    chain: chain.clone(),
                    needs: needs.cloned(),
                    bytes: lowered.encode_to_vec().into(),
                    sources,
                }
            }
        };
        wire::put_message(&mut out, wire::LISTENER_CHAINS, &kept.bytes);
        sources.extend(kept.sources.iter().cloned());
        memo.chains.insert(Arc::clone(&chain.name), kept);
    }
    (out.into(), sources)
}

fn table_name(chain: &FilterChain) -> Option<&str> {
    match &chain.protocol {
        Protocol::Http(http) => Some(&http.routes.name),
        Protocol::Tcp(_) => None,
    }
}

/// Routes are delivered apart: of a table a chain has the name only.
fn same_but_routes(one: &FilterChain, other: &FilterChain) -> bool {
    let FilterChain { name, server_names, matches_tls, tls, protocol } = one;
    let same_protocol = match (protocol, &other.protocol) {
        (Protocol::Http(one), Protocol::Http(other)) => one.routes.name == other.routes.name,
        (one, other) => one == other,
    };
    same_protocol
        && (name, server_names, matches_tls, tls) == (&other.name, &other.server_names, &other.matches_tls, &other.tls)
}

fn shell(scope: &Scope<'_>, listener: &Listener, any_tls: bool) -> envoy_listener::Listener {
    let (address, additional_addresses) = address::bind(listener, scope.bound(listener.port));
    envoy_listener::Listener {
        name: listener.name.to_string(),
        address: Some(address),
        additional_addresses,
        per_connection_buffer_limit_bytes: Some(BUFFER_BYTES),
        // Reads the server name from the client's first message, before a chain is chosen.
        listener_filters: any_tls.then(|| tls_inspector(scope)).into_iter().collect(),
        access_log: access_log::of_listener(scope),
        ..Default::default()
    }
}

fn tls_inspector(scope: &Scope<'_>) -> ListenerFilter {
    let config = TlsInspector {
        enable_ja4_fingerprinting: access_log::tells_fingerprints(scope).then_some(true),
        ..Default::default()
    };
    ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(envoy::any(&config))),
        ..Default::default()
    }
}

fn filter_chain(
    scope: &Scope<'_>,
    listener: &Listener,
    chain: &FilterChain,
    table: Option<&TableMemo>,
    any_tls: bool,
) -> (envoy_listener::FilterChain, Vec<ObjectRef>) {
    let (filter, sources) = match (&chain.protocol, table) {
        (Protocol::Http(_), Some(table)) => hcm::filter(scope, listener, chain.tls.is_some(), table),
        (Protocol::Http(_), None) => unreachable!("the tables of all chains were made before"),
        (Protocol::Tcp(proxy), _) => (tcp::filter(scope, proxy), Vec::new()),
    };
    let lowered = envoy_listener::FilterChain {
        name: chain.name.to_string(),
        filter_chain_match: chain_match(chain, any_tls),
        transport_socket: chain.tls.as_ref().map(tls::downstream),
        filters: vec![filter],
        ..Default::default()
    };
    (lowered, sources)
}

/// Which connections a chain takes: all, where no chain of the socket looks at TLS.
fn chain_match(chain: &FilterChain, any_tls: bool) -> Option<FilterChainMatch> {
    any_tls.then(|| FilterChainMatch {
        server_names: chain.server_names.clone(),
        transport_protocol: if chain.matches_tls { "tls" } else { "raw_buffer" }.to_owned(),
        ..Default::default()
    })
}

/// A network filter.
fn network_filter<M: Message + envoy::Name>(name: &str, config: &M) -> Filter {
    Filter { name: name.to_owned(), config_type: Some(filter::ConfigType::TypedConfig(envoy::any(config))) }
}
