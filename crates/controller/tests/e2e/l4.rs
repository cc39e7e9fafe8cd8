//! Bytes and datagrams: TCPRoute, UDPRoute, and which listeners they attach to.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;
use testbed::client::{tcp_line, tls_line, udp_datagram};
use testbed::echo::Echo;
use testbed::pki::Ca;

use crate::harness::{Case, free_port, local};
use crate::objects::{class, gateway, grant, listener, route, service, service_with, slice, to_service};

/// An echo backend for lines, which puts its name before each.
async fn lines(name: &str) -> Result<Echo> {
    Echo::tcp().name(name).spawn().await
}

/// An echo backend for datagrams.
async fn datagrams(name: &str) -> Result<Echo> {
    Echo::udp().name(name).spawn().await
}

/// A Service for datagrams.
fn udp_service(namespace: &str, name: &str, address: SocketAddr) -> String {
    let port = "{name: p, port: 80, protocol: UDP}";
    let slice = slice(namespace, name, 0, address, "ready: true").replace("{name: p,", "{name: p, protocol: UDP,");
    service_with(namespace, name, port, "") + &slice
}

fn tcp_route(name: &str, parents: &str, references: &str) -> String {
    route("TCPRoute", "default", name, parents, &format!("rules: [{{backendRefs: [{references}]}}]"))
}

fn udp_route(name: &str, parents: &str, references: &str) -> String {
    route("UDPRoute", "default", name, parents, &format!("rules: [{{backendRefs: [{references}]}}]"))
}

/// Asks over new connections and counts who answers.
async fn shares(port: u16, times: usize) -> Result<BTreeMap<String, usize>> {
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        *shares.entry(tcp_line(local(port), "hi").await?).or_default() += 1;
    }
    Ok(shares)
}

#[tokio::test]
async fn tcp_route_carries_bytes() -> Result<()> {
    let (echo, port) = (lines("a").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway(&[listener("tcp", "TCP", port, "")]),
        tcp_route("r", "{name: gw}", &to_service("a", "")),
        service("default", "a", &[echo.address()]),
    ])
    .await?;
    case.until("the echo", async || Ok(tcp_line(local(port), "hi").await? == "a hi")).await?;
    case.condition("TCPRoute", "r", "ResolvedRefs", "True").await?;
    Ok(())
}

#[tokio::test]
async fn tcp_route_weighted_routing() -> Result<()> {
    let (a, b, never, port) = (lines("a").await?, lines("b").await?, lines("never").await?, free_port());
    let references =
        [to_service("a", ", weight: 3"), to_service("b", ", weight: 1"), to_service("never", ", weight: 0")].join(", ");
    let case = Case::start(&[
        class(),
        gateway(&[listener("tcp", "TCP", port, "")]),
        tcp_route("r", "{name: gw}", &references),
        service("default", "a", &[a.address()]),
        service("default", "b", &[b.address()]),
        service("default", "never", &[never.address()]),
    ])
    .await?;
    case.until("an echo", async || Ok(tcp_line(local(port), "hi").await.is_ok())).await?;
    let shares = shares(port, 400).await?;
    // 300 expected; five standard deviations are 43.
    assert!((250..=350).contains(&shares["a hi"]), "{shares:?}");
    assert_eq!((shares.len(), never.count()), (2, 0), "{shares:?}");
    Ok(())
}

#[tokio::test]
async fn tcp_route_reference_grant() -> Result<()> {
    let (echo, port) = (lines("far").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway(&[listener("tcp", "TCP", port, "")]),
        tcp_route("r", "{name: gw}", &to_service("far", ", namespace: other")),
        service("other", "far", &[echo.address()]),
    ])
    .await?;
    // TCPRouteInvalidCrossNamespaceBackendRef
    case.reason("TCPRoute", "r", "ResolvedRefs", "RefNotPermitted").await?;
    case.until("a closed connection", async || Ok(tcp_line(local(port), "hi").await.is_err())).await?;
    case.write("grant", &grant("TCPRoute", "default", "other"))?;
    case.until("the echo", async || Ok(tcp_line(local(port), "hi").await? == "far hi")).await?;
    case.condition("TCPRoute", "r", "ResolvedRefs", "True").await?;
    case.remove("grant")?;
    case.until("a closed connection", async || Ok(tcp_line(local(port), "hi").await.is_err())).await
}

#[tokio::test]
async fn tcp_route_invalid_backend_ref_nonexistent() -> Result<()> {
    let (good, half, bad) = (free_port(), free_port(), free_port());
    let echo = lines("a").await?;
    let references = [to_service("a", ""), to_service("nowhere", "")].join(", ");
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("good", "TCP", good, ""),
            listener("half", "TCP", half, ""),
            listener("bad", "TCP", bad, ""),
        ]),
        tcp_route("good", "{name: gw, sectionName: good}", &to_service("a", "")),
        tcp_route("half", "{name: gw, sectionName: half}", &references),
        tcp_route("bad", "{name: gw, sectionName: bad}", &to_service("nowhere", "")),
        service("default", "a", &[echo.address()]),
    ])
    .await?;
    case.until("the echo", async || Ok(tcp_line(local(good), "hi").await? == "a hi")).await?;
    for name in ["half", "bad"] {
        case.reason("TCPRoute", name, "ResolvedRefs", "BackendNotFound").await?;
        case.condition("TCPRoute", name, "Accepted", "True").await?;
    }
    // The share of the back end that is missing is refused, not given to the other.
    let mut answered = 0;
    for _ in 0..100 {
        answered += u32::from(tcp_line(local(half), "hi").await.is_ok());
        assert!(tcp_line(local(bad), "hi").await.is_err());
    }
    assert!((25..=75).contains(&answered), "{answered} of 100");
    Ok(())
}

#[tokio::test]
async fn tcp_route_parent_ref_port_and_section_name() -> Result<()> {
    let (one, two, three) = (free_port(), free_port(), free_port());
    let (a, b) = (lines("a").await?, lines("b").await?);
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("one", "TCP", one, ""),
            listener("two", "TCP", two, ""),
            listener("three", "TCP", three, ""),
        ]),
        tcp_route("by-port", &format!("{{name: gw, port: {one}}}"), &to_service("a", "")),
        tcp_route("by-section", "{name: gw, sectionName: two}", &to_service("b", "")),
        tcp_route("by-both", &format!("{{name: gw, sectionName: three, port: {three}}}"), &to_service("b", "")),
        tcp_route("mismatch", &format!("{{name: gw, sectionName: three, port: {one}}}"), &to_service("a", "")),
        service("default", "a", &[a.address()]),
        service("default", "b", &[b.address()]),
    ])
    .await?;
    for (port, wanted) in [(one, "a hi"), (two, "b hi"), (three, "b hi")] {
        case.until(wanted, async || Ok(tcp_line(local(port), "hi").await? == wanted)).await?;
    }
    case.reason("TCPRoute", "mismatch", "Accepted", "NoMatchingParent").await
}

#[tokio::test]
async fn tcp_route_parent_ref_attach_all() -> Result<()> {
    let (one, two, http) = (free_port(), free_port(), free_port());
    let echo = lines("a").await?;
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("one", "TCP", one, ""),
            listener("two", "TCP", two, ""),
            listener("http", "HTTP", http, ""),
        ]),
        tcp_route("all", "{name: gw}", &to_service("a", "")),
        service("default", "a", &[echo.address()]),
    ])
    .await?;
    for port in [one, two] {
        case.until("the echo", async || Ok(tcp_line(local(port), "hi").await? == "a hi")).await?;
    }
    for (name, routes) in [("one", 1), ("two", 1), ("http", 0)] {
        case.attached("gw", name, routes).await?;
    }
    Ok(())
}

#[tokio::test]
async fn tcp_route_invalid_non_tcp_listener() -> Result<()> {
    let port = free_port();
    let case = Case::start(&[
        class(),
        gateway(&[listener("http", "HTTP", port, "")]),
        tcp_route("r", "{name: gw, sectionName: http}", &to_service("a", "")),
    ])
    .await?;
    case.reason("TCPRoute", "r", "Accepted", "NotAllowedByListeners").await?;
    case.attached("gw", "http", 0).await
}

#[tokio::test]
async fn tcp_route_multiple_routes_attachment() -> Result<()> {
    let port = free_port();
    let (a, b) = (lines("a").await?, lines("b").await?);
    let second = tcp_route("second", "{name: gw}", &to_service("b", ""));
    let case = Case::start(&[
        class(),
        gateway(&[listener("tcp", "TCP", port, "")]),
        tcp_route("first", "{name: gw}", &to_service("a", "")),
        service("default", "a", &[a.address()]),
        service("default", "b", &[b.address()]),
    ])
    .await?;
    case.until("the echo", async || Ok(tcp_line(local(port), "hi").await? == "a hi")).await?;
    case.write("second", &second)?;
    // Both are accepted, and the older one has the traffic, all of it.
    case.condition("TCPRoute", "second", "Accepted", "True").await?;
    case.attached("gw", "tcp", 2).await?;
    assert_eq!(shares(port, 20).await?, BTreeMap::from([("a hi".to_owned(), 20)]));
    Ok(())
}

#[tokio::test]
async fn tls_route_terminates_before_tcp() -> Result<()> {
    let (echo, port) = (lines("a").await?, free_port());
    let ca = Ca::new("test")?;
    let fields = ", tls: {mode: Terminate, certificateRefs: [{name: cert}]}, hostname: a.org";
    let case = Case::start(&[
        class(),
        gateway(&[listener("tls", "TLS", port, fields)]),
        format!("---\n{}", ca.server(&["a.org"])?.secret_manifest("default", "cert")),
        tcp_route("r", "{name: gw}", &to_service("a", "")),
        service("default", "a", &[echo.address()]),
    ])
    .await?;
    // A TCPRoute takes what TLS has been taken off.
    case.until("the echo", async || Ok(tls_line(local(port), "a.org", &ca.pem(), "hi").await? == "a hi")).await
}

#[tokio::test]
async fn udp_route_carries_datagrams() -> Result<()> {
    let (echo, port) = (datagrams("a").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway(&[listener("udp", "UDP", port, "")]),
        udp_route("r", "{name: gw}", &to_service("a", "")),
        udp_service("default", "a", echo.address()),
    ])
    .await?;
    case.programmed("gw").await?;
    assert_eq!(udp_datagram(local(port), "hi").await?, "a hi");
    case.condition("UDPRoute", "r", "ResolvedRefs", "True").await
}

#[tokio::test]
async fn udp_route_weighted_routing() -> Result<()> {
    let (a, b, port) = (datagrams("a").await?, datagrams("b").await?, free_port());
    let references = [to_service("a", ", weight: 3"), to_service("b", ", weight: 1")].join(", ");
    let case = Case::start(&[
        class(),
        gateway(&[listener("udp", "UDP", port, "")]),
        udp_route("r", "{name: gw}", &references),
        udp_service("default", "a", a.address()),
        udp_service("default", "b", b.address()),
    ])
    .await?;
    case.programmed("gw").await?;
    let mut from_a = 0;
    // Each from a port of its own: a session of its own.
    for _ in 0..200 {
        from_a += u32::from(udp_datagram(local(port), "hi").await? == "a hi");
    }
    // 150 expected; five standard deviations are 31.
    assert!((119..=181).contains(&from_a), "{from_a} of 200");
    Ok(())
}

#[tokio::test]
async fn udp_route_reference_grant() -> Result<()> {
    let (echo, port) = (datagrams("far").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway(&[listener("udp", "UDP", port, "")]),
        udp_route("r", "{name: gw}", &to_service("far", ", namespace: other")),
        udp_service("other", "far", echo.address()),
    ])
    .await?;
    // UDPRouteInvalidCrossNamespaceBackendRef
    case.reason("UDPRoute", "r", "ResolvedRefs", "RefNotPermitted").await?;
    assert_eq!(echo.count(), 0);
    case.write("grant", &grant("UDPRoute", "default", "other"))?;
    case.condition("UDPRoute", "r", "ResolvedRefs", "True").await?;
    assert_eq!(udp_datagram(local(port), "hi").await?, "far hi");
    Ok(())
}

#[tokio::test]
async fn udp_route_invalid_backend_ref_nonexistent() -> Result<()> {
    let (echo, port) = (datagrams("a").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway(&[listener("udp", "UDP", port, "")]),
        udp_route("r", "{name: gw}", &to_service("a", "")),
    ])
    .await?;
    case.reason("UDPRoute", "r", "ResolvedRefs", "BackendNotFound").await?;
    case.write("service", &udp_service("default", "a", echo.address()))?;
    assert_eq!(udp_datagram(local(port), "hi").await?, "a hi");
    Ok(())
}

#[tokio::test]
async fn udp_route_parent_refs() -> Result<()> {
    // UDPRouteParentRefPortAndSectionName, UDPRouteParentRefAttachAllListeners, UDPRouteNotAllowedByListeners
    let (one, two, tcp) = (free_port(), free_port(), free_port());
    let (a, b) = (datagrams("a").await?, datagrams("b").await?);
    let case = Case::start(&[
        class(),
        gateway(&[listener("one", "UDP", one, ""), listener("two", "UDP", two, ""), listener("tcp", "TCP", tcp, "")]),
        udp_route("by-both", &format!("{{name: gw, sectionName: one, port: {one}}}"), &to_service("a", "")),
        udp_route("wrong", "{name: gw, sectionName: tcp}", &to_service("a", "")),
        udp_service("default", "a", a.address()),
        udp_service("default", "b", b.address()),
    ])
    .await?;
    case.reason("UDPRoute", "wrong", "Accepted", "NotAllowedByListeners").await?;
    case.programmed("gw").await?;
    assert_eq!(udp_datagram(local(one), "hi").await?, "a hi");
    case.write("to-all", &udp_route("to-all", "{name: gw}", &to_service("b", "")))?;
    assert_eq!(udp_datagram(local(two), "hi").await?, "b hi");
    // Of two routes the older one has the traffic (UDPRouteMultipleRoutesAttachment).
    case.attached("gw", "one", 2).await?;
    assert_eq!(udp_datagram(local(one), "hi").await?, "a hi");
    case.attached("gw", "two", 1).await
}
