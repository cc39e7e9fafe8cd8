//! Small gateways for tests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ir::{
    Action, Cluster, Discovery, Features, FilterChain, Forward, Gateway, HttpChain, IpFamily, Listener, Matcher,
    Protocol, Route, RouteTable, Source, Transport, UpstreamProtocol, VirtualHost, WeightedCluster,
    api::{ObjectRef, RouteKind, SliceOwner},
    backend::{EndpointGroup, EndpointSource},
    route::{HeaderMutation, PathMatch},
};

pub(crate) fn http_route(name: &str) -> ObjectRef {
    ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "default", name)
}

pub(crate) fn share(cluster: &str, weight: u32) -> WeightedCluster {
    WeightedCluster {
        cluster: (!cluster.is_empty()).then(|| cluster.into()),
        weight,
        request_headers: HeaderMutation::default(),
        response_headers: HeaderMutation::default(),
    }
}

pub(crate) fn forward(cluster: &str) -> Forward {
    Forward { clusters: vec![share(cluster, 1)], ..Forward::default() }
}

pub(crate) fn prefix(path: &str) -> Matcher {
    Matcher { path: PathMatch::Prefix(path.to_owned()), ..Matcher::default() }
}

pub(crate) fn route(name: &str, matcher: Matcher, action: Action) -> Route {
    Route {
        name: name.into(),
        source: Arc::new(Source {
            kind: RouteKind::Http,
            route: http_route(name),
            rule: 0,
            rule_name: None,
            filters: Vec::new(),
            objectives: None,
        }),
        matcher,
        action: Arc::new(action),
        features: Arc::new(Features::default()),
    }
}

pub(crate) fn to(name: &str, matcher: Matcher, forward: Forward) -> Route {
    route(name, matcher, Action::Forward(Box::new(forward)))
}

pub(crate) fn host(domain: &str, routes: impl IntoIterator<Item = Route>) -> VirtualHost {
    VirtualHost { domain: domain.into(), routes: routes.into_iter().map(Arc::new).collect(), misdirected: false }
}

pub(crate) fn table(name: &str, hosts: impl IntoIterator<Item = VirtualHost>) -> Arc<RouteTable> {
    Arc::new(RouteTable { name: name.into(), hosts: hosts.into_iter().map(Arc::new).collect() })
}

pub(crate) fn http_chain(name: &str, routes: Arc<RouteTable>) -> FilterChain {
    FilterChain {
        name: name.into(),
        server_names: Vec::new(),
        matches_tls: false,
        tls: None,
        protocol: Protocol::Http(HttpChain { routes }),
    }
}

pub(crate) fn tcp_listener(port: u16, chains: Vec<FilterChain>) -> Listener {
    Listener {
        name: format!("tcp-{port}").into(),
        port,
        family: IpFamily::V4,
        transport: Transport::Tcp(chains),
        sources: vec![ObjectRef::new("gateway.networking.k8s.io", "Gateway", "default", "eg")],
    }
}

pub(crate) fn cluster(name: &str) -> Cluster {
    let source = EndpointSource::Slices {
        owner: SliceOwner::Service,
        namespace: "default".to_owned(),
        name: name.to_owned(),
        port_name: String::new(),
        port: 80,
        family: None,
        nearness: None,
    };
    Cluster {
        name: name.into(),
        discovery: Discovery::Delivered(vec![EndpointGroup { source, weight: None, priority: 0 }]),
        protocol: UpstreamProtocol::Http1,
        tls: None,
        connect_timeout: Duration::from_secs(10),
        ejects_failing: false,
        sources: vec![ObjectRef::new("", "Service", "default", name)],
    }
}

pub(crate) fn gateway(listeners: Vec<Listener>, clusters: Vec<Cluster>) -> Gateway {
    Gateway {
        name: "default/eg".into(),
        gateways: vec![ObjectRef::new("gateway.networking.k8s.io", "Gateway", "default", "eg")],
        listeners: listeners.into_iter().map(Arc::new).collect(),
        clusters: Arc::new(
            clusters.into_iter().map(|cluster| (Arc::clone(&cluster.name), Arc::new(cluster))).collect(),
        ),
        secrets: Arc::default(),
        proxy: Arc::default(),
        telemetry: ir::Telemetry::default(),
        rate_limit_service: None,
    }
}

/// A gateway with one plain listener and these routes for all hosts.
pub(crate) fn simple(routes: impl IntoIterator<Item = Route>, clusters: Vec<Cluster>) -> Gateway {
    let table = table("http-80", [host("*", routes)]);
    gateway(vec![tcp_listener(80, vec![http_chain("default/eg/http", table)])], clusters)
}

/// The JSON of a resource; a table may be named without its filters' fingerprint.
pub(crate) fn json(lowered: &crate::Lowered, type_url: &str, name: &str) -> serde_json::Value {
    let mut resources = lowered.of_type(type_url).expect("there are resources of the type").iter();
    let (_, resource) =
        resources.find(|(full, _)| full.split('~').next() == Some(name)).expect("there is a resource of the name");
    envoy::json::to_json(type_url, &resource.bytes).expect("what was encoded can be decoded")
}

/// Lowers and has Envoy judge.
pub(crate) fn accepted(gateway: &Gateway) -> crate::Lowered {
    let lowered = crate::lower(gateway, &crate::Settings::default(), &mut crate::Memo::default());
    let bootstrap = crate::static_bootstrap(&lowered, &BTreeMap::new()).expect("the resources are Envoy's");
    if let Err(words) = testbed::envoy::validate(&bootstrap.to_string()) {
        panic!("{words}");
    }
    lowered
}
