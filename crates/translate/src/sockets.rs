//! Sockets: all listeners of a fleet that share a port.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ir::{FilterChain, HttpChain, Listener, Protocol as Speaks, TcpProxy, Transport, UdpProxy};

use crate::{
    plan::{ListenerPlan, Plan, Protocol},
    standing::Attached,
    tables::{TableBuilder, owner},
};

/// The sockets of a fleet, ordered by name.
pub(crate) fn sockets(
    plan: &Plan,
    fleet: usize,
    layer4: &[Vec<Attached>],
    tables: &mut TableBuilder<'_>,
) -> Vec<Arc<Listener>> {
    let mut groups: BTreeMap<(String, u16), Vec<usize>> = BTreeMap::new();
    for (index, listener) in plan.listeners.iter().enumerate() {
        let served = listener.fleet == fleet && listener.served() && plan.gateways[listener.gateway].accepted;
        if let (true, Some(port)) = (served, listener.port) {
            let transport = if listener.protocol == Some(Protocol::Udp) { "udp" } else { "tcp" };
            groups.entry((format!("{transport}-{port}"), port)).or_default().push(index);
        }
    }
    let socket = |((name, port), listeners): ((String, u16), Vec<usize>)| {
        let transport = transport(plan, fleet, port, &listeners, layer4, tables);
        // Without a chain nobody could connect (a TLS listener before its first route), and Envoy refuses such a socket.
        if matches!(&transport, Transport::Tcp(chains) if chains.is_empty()) {
            return None;
        }
        let sources: BTreeSet<_> = listeners.iter().map(|index| plan.listeners[*index].owner.clone()).collect();
        Some(Arc::new(Listener {
            name: name.into(),
            port,
            family: plan.fleets[fleet].family,
            transport,
            sources: sources.into_iter().collect(),
        }))
    };
    groups.into_iter().filter_map(socket).collect()
}

fn transport(
    plan: &Plan,
    fleet: usize,
    port: u16,
    listeners: &[usize],
    layer4: &[Vec<Attached>],
    tables: &mut TableBuilder<'_>,
) -> Transport {
    let speaks = listeners.first().and_then(|index| plan.listeners[*index].protocol);
    let prefix = &plan.fleets[fleet].name;
    match speaks {
        Some(Protocol::Udp) => Transport::Udp(udp(listeners, layer4)),
        Some(Protocol::Tcp) => Transport::Tcp(tcp(plan, listeners, layer4)),
        Some(Protocol::Http) => {
            let table = tables.clear(format!("{prefix}/http-{port}"), listeners);
            Transport::Tcp(vec![FilterChain {
                name: format!("http-{port}").into(),
                server_names: Vec::new(),
                matches_tls: false,
                tls: None,
                protocol: Speaks::Http(HttpChain { routes: table }),
            }])
        }
        Some(Protocol::Https | Protocol::TlsTerminate | Protocol::TlsPassthrough) => {
            Transport::Tcp(tls(plan, port, listeners, layer4, tables))
        }
        None => Transport::Tcp(Vec::new()),
    }
}

/// The route of a listener for bytes or datagrams that has the traffic: the oldest.
fn only(routes: &[Attached]) -> Option<&Attached> {
    routes.iter().min_by(|a, b| a.outcome.age.cmp(&b.outcome.age))
}

fn route_name(attached: &Attached) -> Arc<str> {
    let reference = &attached.outcome.reference;
    format!("{}/{}/{}", reference.kind.to_lowercase(), reference.namespace, reference.name).into()
}

fn udp(listeners: &[usize], layer4: &[Vec<Attached>]) -> UdpProxy {
    let attached = listeners.iter().find_map(|index| only(&layer4[*index]));
    UdpProxy {
        name: attached.map_or_else(|| "none".into(), route_name),
        clusters: attached.map(|attached| attached.attachment().compiled.layer4.clone()).unwrap_or_default(),
    }
}

fn tcp(plan: &Plan, listeners: &[usize], layer4: &[Vec<Attached>]) -> Vec<FilterChain> {
    let chain = |index: &usize| {
        let attached = only(&layer4[*index]);
        FilterChain {
            name: plan.listeners[*index].full_name().into(),
            server_names: Vec::new(),
            matches_tls: false,
            tls: None,
            protocol: Speaks::Tcp(TcpProxy {
                name: attached.map_or_else(|| "none".into(), route_name),
                clusters: attached.map(|attached| attached.attachment().compiled.layer4.clone()).unwrap_or_default(),
            }),
        }
    };
    listeners.iter().take(1).map(chain).collect()
}

/// One chain for each HTTPS listener, and one for each TLS route of the others. No two have a server name in common.
fn tls(
    plan: &Plan,
    port: u16,
    listeners: &[usize],
    layer4: &[Vec<Attached>],
    tables: &mut TableBuilder<'_>,
) -> Vec<FilterChain> {
    let mut chains = Vec::new();
    for index in listeners {
        let listener = &plan.listeners[*index];
        match listener.protocol {
            Some(Protocol::Https) => {
                let name = listener.full_name();
                let table = tables.secure(format!("https-{port}/{name}"), *index, listeners);
                chains.push(FilterChain {
                    name: name.into(),
                    server_names: listener.hostname.iter().cloned().collect(),
                    matches_tls: true,
                    tls: listener.tls.clone(),
                    protocol: Speaks::Http(HttpChain { routes: table }),
                });
            }
            _ => chains.extend(tls_routes(plan, *index, listeners, listener, &layer4[*index])),
        }
    }
    chains
}

/// The chains of a TLS listener: for each of its routes, the server names that are its own.
fn tls_routes(
    plan: &Plan,
    index: usize,
    listeners: &[usize],
    listener: &ListenerPlan,
    routes: &[Attached],
) -> Vec<FilterChain> {
    let mut sorted: Vec<_> = routes.iter().collect();
    sorted.sort_by(|a, b| a.outcome.age.cmp(&b.outcome.age));
    let mut taken = BTreeSet::new();
    let mut chains = Vec::new();
    for attached in sorted {
        let own = attached.attachment().domains.iter().filter(|domain| owner(plan, listeners, domain) == Some(index));
        let names: Vec<Arc<str>> = own.filter(|domain| taken.insert(Arc::clone(domain))).cloned().collect();
        if names.is_empty() {
            continue;
        }
        let everything = names.iter().any(|name| &**name == "*");
        chains.push(FilterChain {
            name: format!("{}/{}", listener.full_name(), route_name(attached)).into(),
            server_names: if everything { Vec::new() } else { names.iter().map(|name| name.to_string()).collect() },
            matches_tls: true,
            tls: listener.tls.clone(),
            protocol: Speaks::Tcp(TcpProxy {
                name: route_name(attached),
                clusters: attached.attachment().compiled.layer4.clone(),
            }),
        });
    }
    chains
}
