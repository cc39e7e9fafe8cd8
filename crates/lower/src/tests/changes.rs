//! What a change costs, and that what is kept is never seen in what comes out.

use std::sync::Arc;

use envoy::type_url;
use ir::{Features, Gateway, Route, RouteTable, Transport, VirtualHost};
use serde_json::json;

use crate::{
    Lowered, Memo, Settings, lower,
    testing::{cluster, forward, gateway, host, http_chain, prefix, table, tcp_listener, to},
};

fn hosts(changed: Option<usize>) -> Vec<VirtualHost> {
    (0..5)
        .map(|number| {
            let cluster = if changed == Some(number) { "d" } else { "c" };
            host(&format!("{number}.example"), [to(&format!("r{number}"), prefix("/a"), forward(cluster))])
        })
        .collect()
}

/// One host with a tree: as it is, with another path, in another order, and with a route that needs a filter.
fn long_hosts() -> [VirtualHost; 4] {
    let mut routes: Vec<Route> =
        (0..100).map(|number| to(&format!("r{number}"), prefix(&format!("/{number}")), forward("c"))).collect();
    let plain = host("long.example", routes.clone());
    routes[40].matcher = prefix("/other");
    let path = host("long.example", routes.clone());
    routes[10..90].rotate_left(1);
    let order = host("long.example", routes.clone());
    let cors = serde_json::from_value(json!({"allowOrigins": ["*"]})).unwrap();
    routes[20].features = Arc::new(Features { cors: Some(Arc::new(cors)), ..Features::default() });
    [plain, path, order, host("long.example", routes)]
}

fn with_table(table: Arc<RouteTable>) -> Gateway {
    gateway(vec![tcp_listener(80, vec![http_chain("http", table)])], vec![cluster("c"), cluster("d")])
}

fn bytes(lowered: &Lowered) -> Vec<(String, bytes::Bytes)> {
    let all =
        lowered.resources.iter().flat_map(|(url, resources)| resources.iter().map(move |(name, one)| (url, name, one)));
    all.map(|(url, name, resource)| (format!("{url} {name}"), resource.bytes.clone())).collect()
}

/// The table with another first host; everything else is the same in memory.
fn next(before: &RouteTable) -> Arc<RouteTable> {
    let mut hosts = before.hosts.clone();
    hosts[0] = Arc::new(host("0.example", [to("r0", prefix("/a"), forward("d"))]));
    Arc::new(RouteTable { name: Arc::clone(&before.name), hosts })
}

#[test]
fn a_memo_changes_nothing() {
    let mut memo = Memo::default();
    let fresh = |gateway: &Gateway| bytes(&lower(gateway, &Settings::default(), &mut Memo::default()));
    let tables = [hosts(None), hosts(Some(0)), hosts(Some(4)), hosts(None), Vec::new(), hosts(Some(2))];
    for hosts in tables {
        let gateway = with_table(table("http-80", hosts));
        assert_eq!(bytes(&lower(&gateway, &Settings::default(), &mut memo)), fresh(&gateway));
    }
    let [plain, path, order, filter] = long_hosts();
    let mut before = Vec::new();
    for host in [&plain, &path, &order, &plain, &filter, &order, &filter, &path] {
        let gateway = with_table(table("http-80", [host.clone()]));
        let after = bytes(&lower(&gateway, &Settings::default(), &mut memo));
        assert_eq!(after, fresh(&gateway));
        assert_ne!(after, before, "each is another");
        before = after;
    }
    let settings = Settings { system_authorities: "/other".to_owned(), ..Settings::default() };
    let gateway = with_table(table("http-80", hosts(None)));
    assert_eq!(bytes(&lower(&gateway, &settings, &mut memo)), fresh(&gateway));
}

#[test]
fn what_did_not_change_is_the_same_in_memory() {
    let mut memo = Memo::default();
    let settings = Settings::default();
    let before = table("http-80", hosts(None));
    let gateway = with_table(Arc::clone(&before));
    let one = lower(&gateway, &settings, &mut memo);
    let again = lower(&gateway, &settings, &mut memo);
    for (url, resources) in &one.resources {
        assert!(*url == type_url::LISTENER || Arc::ptr_eq(resources, &again.resources[url]), "{url}");
    }
    let after = next(&before);
    let mut changed = gateway;
    let mut listener = (*changed.listeners[0]).clone();
    listener.transport = Transport::Tcp(vec![http_chain("http", after)]);
    changed.listeners[0] = Arc::new(listener);
    let two = lower(&changed, &settings, &mut memo);
    assert!(Arc::ptr_eq(&one.resources[type_url::CLUSTER], &two.resources[type_url::CLUSTER]));
    let bytes = |lowered: &Lowered, url| lowered.of_type(url).unwrap().values().next().unwrap().bytes.clone();
    assert_eq!(
        bytes(&one, type_url::LISTENER),
        bytes(&two, type_url::LISTENER),
        "a route is no change of the filter chain"
    );
    assert_ne!(bytes(&one, type_url::ROUTE), bytes(&two, type_url::ROUTE));
}
