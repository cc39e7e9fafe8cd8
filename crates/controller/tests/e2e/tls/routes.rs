//! TLSRoute: passed through as it is, or as bytes once TLS is taken off.

use testbed::client::tls_line;

use super::*;
use crate::objects::{route, service, to_service};

const PASSTHROUGH: &str = ", tls: {mode: Passthrough}";

fn tls_route(name: &str, parents: &str, hosts: &str, references: &str) -> String {
    let fields = format!("hostnames: [{hosts}]\n  rules: [{{backendRefs: [{references}]}}]");
    route("TLSRoute", "default", name, parents, &fields)
}

#[tokio::test]
async fn tls_route_simple_same_namespace() -> Result<()> {
    let (port, ca) = (free_port(), Ca::new("test")?);
    let (a, b) = (ca.server(&["a.org"])?, ca.server(&["x.b.org"])?);
    let (to_a, to_b) = (Echo::http().name("a").tls(&a).spawn().await?, Echo::http().name("b").tls(&b).spawn().await?);
    let case = Case::start(&[
        class(),
        gateway(&[listener("tls", "TLS", port, PASSTHROUGH)]),
        tls_route("a", "{name: gw}", "a.org", &to_service("a", "")),
        tls_route("b", "{name: gw}", "'*.b.org'", &to_service("b", "")),
        service("default", "a", &[to_a.address()]),
        service("default", "b", &[to_b.address()]),
    ])
    .await?;
    for (host, identity, name) in [("a.org", &a, "a"), ("x.b.org", &b, "b")] {
        answers(&case, &https(host, port, &ca), 200).await?;
        // The back end's own certificate, and HTTP/2 as the client and it agree.
        let answer = https(host, port, &ca).http2().send().await?;
        assert!(answer.shown_by(identity), "{host}");
        assert_eq!(answer.echoed()?.pod, name);
    }
    assert!(https("c.org", port, &ca).send().await.is_err());
    case.attached("gw", "tls", 2).await
}

#[tokio::test]
async fn tls_route_hostname_intersection() -> Result<()> {
    let (port, ca) = (free_port(), Ca::new("test")?);
    let echo = Echo::http().tls(&ca.server(&["a.org", "x.a.org", "y.x.a.org", "b.org"])?).spawn().await?;
    let case = Case::start(&[
        class(),
        gateway(&[listener("tls", "TLS", port, &format!("{PASSTHROUGH}, hostname: '*.a.org'"))]),
        tls_route("in", "{name: gw}", "x.a.org, b.org", &to_service("a", "")),
        tls_route("out", "{name: gw}", "b.org", &to_service("a", "")),
        service("default", "a", &[echo.address()]),
    ])
    .await?;
    answers(&case, &https("x.a.org", port, &ca), 200).await?;
    for host in ["a.org", "b.org", "y.x.a.org"] {
        assert!(https(host, port, &ca).send().await.is_err(), "{host}");
    }
    // TLSRouteInvalidNoMatchingListenerHostname
    case.reason("TLSRoute", "out", "Accepted", "NoMatchingListenerHostname").await
}

#[tokio::test]
async fn tls_route_terminate_simple_same_namespace() -> Result<()> {
    let (port, ca) = (free_port(), Ca::new("test")?);
    let echo = Echo::tcp().name("lines").spawn().await?;
    let fields = ", tls: {mode: Terminate, certificateRefs: [{name: cert}]}";
    let case = Case::start(&[
        class(),
        gateway(&[listener("tls", "TLS", port, fields)]),
        tls_route("lines", "{name: gw}", "a.org", &to_service("a", "")),
        secret("cert", &ca.server(&["a.org", "b.org"])?),
        service("default", "a", &[echo.address()]),
    ])
    .await?;
    case.until("the echo", async || Ok(tls_line(local(port), "a.org", &ca.pem(), "hi").await? == "lines hi")).await?;
    assert!(tls_line(local(port), "b.org", &ca.pem(), "hi").await.is_err());
    Ok(())
}

#[tokio::test]
async fn tls_route_mixed_termination_same_namespace() -> Result<()> {
    let (port, ca) = (free_port(), Ca::new("test")?);
    let (passed, own) = (ca.server(&["passed.org"])?, ca.server(&["lines.org", "web.org"])?);
    let (tls, lines, web) = (
        Echo::http().name("tls").tls(&passed).spawn().await?,
        Echo::tcp().name("lines").spawn().await?,
        web("web").await?,
    );
    let terminate = ", tls: {mode: Terminate, certificateRefs: [{name: cert}]}, hostname: lines.org";
    let case = Case::start(&[
        class(),
        gateway(&[
            listener("passed", "TLS", port, &format!("{PASSTHROUGH}, hostname: passed.org")),
            listener("lines", "TLS", port, terminate),
            listener("web", "HTTPS", port, &certificates(&["cert"], "web.org")),
        ]),
        secret("cert", &own),
        tls_route("passed", "{name: gw, sectionName: passed}", "passed.org", &to_service("tls", "")),
        tls_route("lines", "{name: gw, sectionName: lines}", "lines.org", &to_service("lines", "")),
        service("default", "tls", &[tls.address()]),
        service("default", "lines", &[lines.address()]),
        everything_to(&web),
    ])
    .await?;
    answers(&case, &https("passed.org", port, &ca), 200).await?;
    answers(&case, &https("web.org", port, &ca), 200).await?;
    assert!(https("passed.org", port, &ca).send().await?.shown_by(&passed));
    assert!(https("web.org", port, &ca).send().await?.shown_by(&own));
    assert_eq!(tls_line(local(port), "lines.org", &ca.pem(), "hi").await?, "lines hi");
    Ok(())
}

#[tokio::test]
async fn tls_route_invalid_backend_ref() -> Result<()> {
    // TLSRouteInvalidBackendRefNonexistent, TLSRouteInvalidBackendRefUnknownKind, TLSRouteInvalidReferenceGrant
    let port = free_port();
    let case = Case::start(&[
        class(),
        gateway(&[listener("tls", "TLS", port, PASSTHROUGH)]),
        tls_route("nowhere", "{name: gw}", "nowhere.org", &to_service("nowhere", "")),
        tls_route("kind", "{name: gw}", "kind.org", "{group: example.org, kind: Thing, name: x, port: 80}"),
        tls_route("grant", "{name: gw}", "grant.org", &to_service("far", ", namespace: other")),
        tls_route("lost", "{name: gw, sectionName: nothing}", "lost.org", &to_service("nowhere", "")),
    ])
    .await?;
    for (name, reason) in [("nowhere", "BackendNotFound"), ("kind", "InvalidKind"), ("grant", "RefNotPermitted")] {
        case.reason("TLSRoute", name, "ResolvedRefs", reason).await?;
        case.condition("TLSRoute", name, "Accepted", "True").await?;
    }
    case.reason("TLSRoute", "lost", "Accepted", "NoMatchingParent").await?;
    case.programmed("gw").await
}
