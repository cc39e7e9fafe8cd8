//! GRPCRoute: methods, headers, filters, weights; what goes wrong is a gRPC status.

use anyhow::{Result, ensure};
use testbed::client::{GrpcRequest, GrpcResponse};

use crate::harness::free_port;
use crate::objects::{gateway, listener, route};
use crate::scene::Scene;

/// No route: what a server without that method says.
const UNIMPLEMENTED: &str = "12";
const UNAVAILABLE: &str = "14";

fn grpc_route(name: &str, fields: &str) -> String {
    route("GRPCRoute", "default", name, "{name: gw}", fields)
}

/// The name of the backend that answered OK, or else the gRPC status.
fn outcome(answer: &GrpcResponse) -> String {
    match answer.echoed() {
        Ok(seen) if answer.code == Some(0) => seen.pod,
        _ => answer.code.map_or_else(|| format!("HTTP {}", answer.http_status), |code| code.to_string()),
    }
}

async fn expect(call: GrpcRequest, wanted: &str) -> Result<()> {
    let found = outcome(&call.send().await?);
    ensure!(found == wanted, "wanted {wanted}, got {found} for {call:?}");
    Ok(())
}

#[tokio::test]
async fn grpc_exact_method_matching() -> Result<()> {
    let route = grpc_route(
        "r",
        "rules:
  - matches: [{method: {service: echo.Echo, method: One}}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{method: {service: echo.Echo, method: Two}}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{method: {service: echo.Other}}]
    backendRefs: [{name: c, port: 80}]
  - matches: [{method: {method: Anywhere}}]
    backendRefs: [{name: d, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c", "d"], &route).await?;
    let cases = [
        ("h/echo.Echo/One", "a"),
        ("h/echo.Echo/Two", "b"),
        ("h/echo.Echo/Three", UNIMPLEMENTED),
        ("h/echo.Other/One", "c"),
        ("h/echo.Other/Any", "c"),
        ("h/other.Service/Anywhere", "d"),
        ("h/other.Service/Nowhere", UNIMPLEMENTED),
        ("h/echo.Echoes/One", UNIMPLEMENTED),
    ];
    for (url, wanted) in cases {
        expect(scene.call(url), wanted).await?;
    }
    // The backend is spoken to by HTTP/2.
    assert_eq!(scene.call("h/echo.Echo/One").send().await?.echoed()?.proto, "HTTP/2.0");
    scene.case.condition("GRPCRoute", "r", "ResolvedRefs", "True").await
}

#[tokio::test]
async fn grpc_regular_expression_method_matching() -> Result<()> {
    let route = grpc_route(
        "r",
        r"rules:
  - matches: [{method: {type: RegularExpression, service: 'echo\.v[0-9]+\..*', method: 'Get.+'}}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{method: {type: RegularExpression, method: 'List.*'}}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{method: {service: echo.v1.Echo, method: GetExact}}]
    backendRefs: [{name: c, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c"], &route).await?;
    let cases = [
        ("h/echo.v1.Echo/GetOne", "a"),
        ("h/echo.v22.Other/GetTwo", "a"),
        ("h/echo.vx.Other/GetTwo", UNIMPLEMENTED),
        ("h/echo.v1.Echo/Get", UNIMPLEMENTED),
        ("h/any.Service/List", "b"),
        ("h/any.Service/Lis", UNIMPLEMENTED),
        ("h/echo.v1.Echo/GetExact", "c"),
    ];
    for (url, wanted) in cases {
        expect(scene.call(url), wanted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn grpc_route_header_matching() -> Result<()> {
    let route = grpc_route(
        "r",
        "rules:
  - matches: [{headers: [{name: version, value: one}]}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{headers: [{name: version, value: two}, {name: color, value: orange}]}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{headers: [{type: RegularExpression, name: color, value: 'dark-.*'}]}]
    backendRefs: [{name: c, port: 80}]
  - matches: [{method: {service: echo.Echo, method: One}, headers: [{name: version, value: one}]}]
    backendRefs: [{name: b, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c"], &route).await?;
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("version", "one")], "a"),
        (&[("version", "two"), ("color", "orange")], "b"),
        (&[("color", "dark-blue")], "c"),
        (&[("color", "blue")], UNIMPLEMENTED),
        (&[("version", "two")], UNIMPLEMENTED),
    ];
    for (headers, wanted) in cases {
        let call = headers.iter().fold(scene.call("h/s.S/M"), |call, (name, value)| call.header(name, value));
        expect(call, wanted).await?;
    }
    expect(scene.call("h/echo.Echo/One").header("version", "one"), "b").await
}

#[tokio::test]
async fn grpc_route_listener_hostname_matching() -> Result<()> {
    let port = free_port();
    let listeners = [
        listener("one", "HTTP", port, ", hostname: bar.com"),
        listener("two", "HTTP", port, ", hostname: '*.bar.com'"),
    ];
    let to = |name: &str, section: &str| {
        let rules = format!("rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]");
        route("GRPCRoute", "default", name, &format!("{{name: gw, sectionName: {section}}}"), &rules)
    };
    let scene = Scene::with(&gateway(&listeners), &["a", "b"], &(to("a", "one") + &to("b", "two"))).await?;
    for (host, wanted) in [("bar.com", "a"), ("foo.bar.com", "b"), ("foo.com", UNIMPLEMENTED)] {
        expect(scene.call(&format!("{host}/s.S/M")), wanted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn grpc_route_weight() -> Result<()> {
    let references =
        "[{name: a, port: 80, weight: 70}, {name: b, port: 80, weight: 30}, {name: c, port: 80, weight: 0}]";
    let route = grpc_route("r", &format!("rules: [{{backendRefs: {references}}}]"));
    let scene = Scene::start(&["a", "b", "c"], &route).await?;
    for _ in 0..300 {
        let found = outcome(&scene.call("h/s.S/M").send().await?);
        assert!(found == "a" || found == "b", "{found}");
    }
    // 210 expected; five standard deviations are 40.
    let share = scene.backend("a").count();
    assert!((170..=250).contains(&share), "{share} of 300");
    Ok(())
}

#[tokio::test]
async fn grpc_route_named_rule_and_filters() -> Result<()> {
    let route = grpc_route(
        "r",
        "rules:
  - name: named
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: one}], remove: [x-gone]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: y-add, value: two}]}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}}}
    backendRefs:
    - name: a
      port: 80
      filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-ref, value: three}]}}]",
    );
    let scene = Scene::start(&["a", "b"], &route).await?;
    let answer = scene.call("h/s.S/M").header("x-gone", "1").send().await?;
    let seen = answer.echoed()?;
    assert_eq!((seen.header("x-set"), seen.header("x-gone"), seen.header("x-ref")), (Some("one"), None, Some("three")));
    assert_eq!(answer.headers.get("y-add").and_then(|value| value.to_str().ok()), Some("two"));
    scene.case.until("a copy", async || Ok(scene.backend("b").count() == 1)).await
}

#[tokio::test]
async fn grpc_route_with_bad_backends_and_statuses_of_backends() -> Result<()> {
    let route = grpc_route(
        "r",
        "rules:
  - matches: [{method: {service: bad.Bad}}]
    backendRefs: [{name: nowhere, port: 80}]
  - matches: [{method: {service: no.No}}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    for service in ["bad.Bad", "no.No"] {
        expect(scene.call(&format!("h/{service}/M")), UNAVAILABLE).await?;
    }
    scene.case.reason("GRPCRoute", "r", "ResolvedRefs", "BackendNotFound").await?;
    // The status of a backend is passed on, in trailers.
    expect(scene.call("h/s.S/M").header("x-echo-grpc-status", "5"), "5").await
}

#[tokio::test]
async fn grpc_and_http_routes_beside_one_another() -> Result<()> {
    let grpc = grpc_route("g", "hostnames: [grpc.com]\n  rules: [{backendRefs: [{name: a, port: 80}]}]");
    let http = crate::scene::http_route("h", "hostnames: [http.com]\n  rules: [{backendRefs: [{name: b, port: 80}]}]");
    let scene = Scene::start(&["a", "b"], &(grpc + &http)).await?;
    expect(scene.call("grpc.com/s.S/M"), "a").await?;
    scene.expect(&[("http.com/", "b")]).await?;
    scene.attached("http", 2).await
}
