//! The forms of a Backend.

use testbed::client::websocket;

use super::*;
use crate::harness::free_port;
use crate::objects::{backend, backend_at, class, http_route, to_backend};

/// A route for `name.org` to a Backend of that name.
fn to(name: &str) -> String {
    http_route(name, "{name: gw}", &[&format!("{name}.org")], &to_backend(name, ""))
}

#[tokio::test]
async fn backends_by_address_name_and_socket() -> Result<()> {
    let (four, six, port) = (echo("four").await?, Echo::http().name("six").ipv6().spawn().await?, free_port());
    let named = echo("named").await?;
    let dir = tempfile::TempDir::with_prefix("s")?;
    let path = dir.path().join("echo.sock");
    let unix = Echo::http().name("unix").unix(&path).spawn().await?;
    let case = Case::start(&[
        class(),
        web(port),
        backend_at("four", four.address(), "") + &to("four"),
        backend_at("six", six.address(), "") + &to("six"),
        backend("named", &format!("{{endpoints: [{{fqdn: {{hostname: localhost, port: {}}}}}]}}", named.port())),
        to("named"),
        backend("unix", &format!("{{endpoints: [{{unix: {{path: '{}'}}}}]}}", path.display())) + &to("unix"),
    ])
    .await?;
    for name in ["four", "six", "named", "unix"] {
        arrives(&case, &get(&format!("{name}.org"), port), name).await?;
        case.condition("Backend", name, "Accepted", "True").await?;
    }
    assert!([four, six, named, unix].iter().all(|echo| echo.count() > 0));
    Ok(())
}

#[tokio::test]
async fn http_route_backend_protocol() -> Result<()> {
    // HTTPRouteBackendProtocolH2C, HTTPRouteBackendProtocolWebSocket
    let (echo, port) = (echo("echo").await?, free_port());
    let case = Case::start(&[
        class(),
        web(port),
        backend_at("plain", echo.address(), "") + &to("plain"),
        backend_at("h2c", echo.address(), ", appProtocols: [gateway.envoyproxy.io/h2c]") + &to("h2c"),
        backend_at("ws", echo.address(), ", appProtocols: [gateway.envoyproxy.io/ws]") + &to("ws"),
    ])
    .await?;
    for (name, proto) in [("plain", "HTTP/1.1"), ("h2c", "HTTP/2.0")] {
        answers(&case, &get(&format!("{name}.org"), port), 200).await?;
        assert_eq!(get(&format!("{name}.org"), port).send().await?.echoed()?.proto, proto);
    }
    answers(&case, &get("ws.org", port), 200).await?;
    let mut socket = websocket(local(port), "ws://ws.org/", &[]).await?;
    assert_eq!(socket.exchange("hi").await?, "echo hi");
    Ok(())
}

#[tokio::test]
async fn a_fallback_is_used_only_while_the_primary_is_down() -> Result<()> {
    let (primary, spare, port) = (echo("primary").await?, echo("spare").await?, free_port());
    let address = primary.address();
    let references = [to_backend("primary", ""), to_backend("spare", "")].join(", ");
    let case = Case::start(&[
        class(),
        web(port),
        backend_at("primary", address, "") + &backend_at("spare", spare.address(), ", fallback: true"),
        http_route("r", "{name: gw}", &[], &references),
    ])
    .await?;
    let request = get("any.org", port);
    arrives(&case, &request, "primary").await?;
    for _ in 0..20 {
        assert_eq!(request.send().await?.echoed()?.pod, "primary");
    }
    assert_eq!(spare.count(), 0);
    primary.stop().await;
    arrives(&case, &request, "spare").await?;
    for _ in 0..20 {
        assert_eq!(request.send().await?.echoed()?.pod, "spare");
    }
    let _again = Echo::http().name("primary").bind(address).spawn().await?;
    arrives(&case, &request, "primary").await
}

#[tokio::test]
async fn a_dynamic_resolver_goes_where_the_request_says() -> Result<()> {
    let (a, b, port) = (echo("a").await?, echo("b").await?, free_port());
    let case = Case::start(&[
        class(),
        web(port),
        backend("dynamic", "{type: DynamicResolver}"),
        http_route("r", "{name: gw}", &[], &to_backend("dynamic", "")),
    ])
    .await?;
    for (echo, name) in [(&a, "a"), (&b, "b")] {
        arrives(&case, &get(&format!("localhost:{}", echo.port()), port), name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn http_route_invalid_backends() -> Result<()> {
    // HTTPRouteInvalidNonExistentBackendRef, HTTPRouteInvalidBackendRefUnknownKind, and a Backend that is wrong in itself
    let (good, port) = (echo("good").await?, free_port());
    let case = Case::start(&[
        class(),
        web(port),
        backend_at("good", good.address(), "") + &to("good"),
        to("missing"),
        http_route("kind", "{name: gw}", &["kind.org"], "{group: example.org, kind: Thing, name: x, port: 80}"),
    ])
    .await?;
    arrives(&case, &get("good.org", port), "good").await?;
    for (name, reason) in [("missing", "BackendNotFound"), ("kind", "InvalidKind")] {
        case.reason("HTTPRoute", name, "ResolvedRefs", reason).await?;
        answers(&case, &get(&format!("{name}.org"), port), 500).await?;
    }
    case.write("missing", &backend_at("missing", good.address(), ""))?;
    arrives(&case, &get("missing.org", port), "good").await
}
