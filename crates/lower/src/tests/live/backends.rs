//! Which end point requests, connections and datagrams reach.

use std::collections::{BTreeMap, BTreeSet};

use ir::{
    Discovery, Endpoint, FilterChain, Forward, Listener, Protocol, TcpProxy, Transport, UdpProxy,
    backend::{EndpointSource, Nearness},
    route::{Session, SessionKind},
};
use testbed::{
    client::{Response, tcp_line, udp_datagram},
    echo::Echo,
};

use super::{Served, endpoint};
use crate::testing::{cluster, forward, gateway, http_chain, prefix, share, simple, table, tcp_listener, to};

#[tokio::test]
async fn sessions_stay_with_their_end_point() {
    let (one, two) = (Echo::http().name("1").spawn().await.unwrap(), Echo::http().name("2").spawn().await.unwrap());
    let kind = SessionKind::Cookie { path: "/".to_owned(), ttl: None, lifetime: None };
    let session = |name: &str, kind| Forward { session: Some(Session { name: name.to_owned(), kind }), ..forward("c") };
    let routes = [
        to("cookie", prefix("/cookie"), session("s", kind)),
        to("header", prefix("/header"), session("x-session", SessionKind::Header)),
    ];
    let endpoints = BTreeMap::from([("c", vec![endpoint(&one, false), endpoint(&two, false)])]);
    let served = Served::with_endpoints(&simple(routes, vec![cluster("c")]), endpoints).await;
    let first = served.get("a.example", "/cookie").send().await.unwrap();
    let cookie = first.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly"), "{cookie}");
    let by_header = served.get("a.example", "/header").send().await.unwrap();
    let session = by_header.header("x-session").unwrap().to_owned();
    let pod = |answer: Response| answer.echoed().unwrap().pod;
    let (first, by_header) = (pod(first), pod(by_header));
    let cookie = cookie.split(';').next().unwrap();
    for _ in 0..10 {
        assert_eq!(pod(served.get("a.example", "/cookie").header("cookie", cookie).send().await.unwrap()), first);
        assert_eq!(
            pod(served.get("a.example", "/header").header("x-session", &session).send().await.unwrap()),
            by_header
        );
    }
}

#[tokio::test]
async fn draining_end_points_wait_for_when_nothing_else_is_there() {
    let (one, two) = (Echo::http().name("1").spawn().await.unwrap(), Echo::http().name("2").spawn().await.unwrap());
    for (other, expected) in [(Some(endpoint(&two, false)), "2"), (None, "1")] {
        let endpoints = BTreeMap::from([("c", [endpoint(&one, true)].into_iter().chain(other).collect())]);
        let served =
            Served::with_endpoints(&simple([to("r", prefix(""), forward("c"))], vec![cluster("c")]), endpoints).await;
        for _ in 0..10 {
            assert_eq!(served.get("a.example", "/").send().await.unwrap().echoed().unwrap().pod, expected);
        }
    }
}

#[tokio::test]
async fn datagrams_and_connections_go_by_weight_or_nowhere() {
    let (one, two) = (Echo::udp().name("1").spawn().await.unwrap(), Echo::udp().name("2").spawn().await.unwrap());
    let backend = Echo::tcp().name("t").spawn().await.unwrap();
    let tcp = |port, clusters| {
        let protocol = Protocol::Tcp(TcpProxy { name: "t".into(), clusters });
        tcp_listener(port, vec![FilterChain { protocol, ..http_chain("t", table("unused", [])) }])
    };
    let udp = Listener {
        name: "udp-53".into(),
        transport: Transport::Udp(UdpProxy { name: "u".into(), clusters: vec![share("u1", 1), share("u2", 3)] }),
        ..tcp(53, Vec::new())
    };
    let gateway = gateway(
        vec![udp, tcp(90, vec![share("t", 1)]), tcp(91, Vec::new())],
        vec![cluster("u1"), cluster("u2"), cluster("t")],
    );
    let served = Served::new(&gateway, &[("u1", &one), ("u2", &two), ("t", &backend)]).await;
    for _ in 0..200 {
        udp_datagram(served.address, "hello").await.unwrap();
    }
    // A quarter, give or take four times the standard deviation of 6.
    assert!((26..=74).contains(&one.count()), "{} of 200", one.count());
    let at = async |name| {
        let mut address = served.envoy.listener(name).await.unwrap();
        address.set_ip([127, 0, 0, 1].into());
        address
    };
    assert_eq!(tcp_line(at("tcp-90").await, "hello").await.unwrap(), "t hello");
    assert!(tcp_line(at("tcp-91").await, "hello").await.is_err());
}

/// Requests arrive in the Envoy's zone as long as an end point in it is healthy; an Envoy without a zone knows no near or far.
#[tokio::test]
async fn end_points_near_to_the_envoy_come_first() {
    let (here, here_too) =
        (Echo::http().name("a").spawn().await.unwrap(), Echo::http().name("a").spawn().await.unwrap());
    let (there, beyond) =
        (Echo::http().name("b").spawn().await.unwrap(), Echo::http().name("c").spawn().await.unwrap());
    let far = || vec![in_zone(&there, "b"), in_zone(&beyond, "c")];
    let all = || [vec![in_zone(&here, "a"), in_zone(&here_too, "a")], far()].concat();
    let near = |prefers| {
        let mut cluster = cluster("c");
        if let (Discovery::Delivered(groups), true) = (&mut cluster.discovery, prefers)
            && let EndpointSource::Slices { nearness, .. } = &mut groups[0].source
        {
            *nearness = Some(Nearness::Zone);
        }
        simple([to("r", prefix(""), forward("c"))], vec![cluster])
    };
    for (zone, prefers, endpoints, expected) in [
        ("a", true, all(), vec!["a"]),
        ("b", true, all(), vec!["b"]),
        ("a", true, far(), vec!["b", "c"]),
        ("elsewhere", true, all(), vec!["a", "b", "c"]),
        ("", true, all(), vec!["a", "b", "c"]),
        ("a", false, all(), vec!["a", "b", "c"]),
    ] {
        let endpoints = BTreeMap::from([("c", endpoints)]);
        let served = Served::in_zone(&near(prefers), endpoints, zone).await;
        let found: BTreeSet<String> = pods(&served).await;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "zone {zone:?}, preferred: {prefers}");
    }
}

/// Where a hundred requests arrive.
async fn pods(served: &Served) -> BTreeSet<String> {
    let mut pods = BTreeSet::new();
    for _ in 0..100 {
        pods.insert(served.get("a.example", "/").send().await.unwrap().echoed().unwrap().pod);
    }
    pods
}

fn in_zone(echo: &Echo, name: &str) -> Endpoint {
    let Endpoint::Ip { address, port, hostname, draining, .. } = endpoint(echo, false) else { unreachable!() };
    Endpoint::Ip { address, port, zone: Some(name.to_owned()), hostname, draining }
}
