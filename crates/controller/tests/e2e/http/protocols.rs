//! What is spoken with backends and clients beside HTTP/1.1: h2c, HTTP/2, WebSocket.

use anyhow::Result;
use testbed::client::websocket;

use crate::harness::local;
use crate::objects::{service_with, slice};
use crate::scene::{Scene, http_route};

/// A Service `two` of that protocol, whose endpoint is the backend `a`.
fn service_of(protocol: &str) -> String {
    let port = format!("{{name: p, port: 80, appProtocol: {protocol}}}");
    let slice = slice("default", "two", 0, local(1), "ready: true").replace("port: 1}", "port: ${a}}");
    service_with("default", "two", &port, "") + &slice
}

fn routes() -> String {
    http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /two}}]
    backendRefs: [{name: two, port: 80}]
  - backendRefs: [{name: a, port: 80}]",
    )
}

#[tokio::test]
async fn http_route_backend_protocol_h2c() -> Result<()> {
    let scene = Scene::start(&["a"], &(routes() + &service_of("kubernetes.io/h2c"))).await?;
    for (path, wanted) in [("two", "HTTP/2.0"), ("", "HTTP/1.1")] {
        let url = format!("h/{path}");
        assert_eq!(scene.seen(scene.get(&url)).await?.proto, wanted, "{path}");
        assert_eq!(scene.seen(scene.get(&url).http2()).await?.proto, wanted, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_backend_protocol_websocket() -> Result<()> {
    let scene = Scene::start(&["a"], &(routes() + &service_of("kubernetes.io/ws"))).await?;
    for path in ["two", ""] {
        let mut socket = websocket(local(scene.port), &format!("ws://h/{path}"), &[]).await?;
        assert_eq!(socket.exchange("hello").await?, "a hello", "{path}");
        assert_eq!(socket.exchange("again").await?, "a again", "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_goes_there_and_back() -> Result<()> {
    let scene = Scene::start(&["a"], &(routes() + &service_of("kubernetes.io/h2c"))).await?;
    let body = "x".repeat(200_000);
    for path in ["two", ""] {
        let request = scene.request(http::Method::POST, &format!("h/{path}")).body(body.clone());
        assert_eq!(scene.seen(request.clone()).await?.body.len(), body.len(), "{path}");
        assert_eq!(scene.seen(request.http2()).await?.body.len(), body.len(), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_service_types() -> Result<()> {
    // A headless Service, and one without a name for its port: the EndpointSlices say the same of all.
    let headless = service_with("default", "headless", "{port: 80, targetPort: 3000}", ", clusterIP: None");
    let slice = "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: headless-x, namespace: default, labels: {kubernetes.io/service-name: headless}}
addressType: IPv4
ports: [{name: '', port: ${a}}]
endpoints: [{addresses: [127.0.0.1]}]
";
    let route = http_route("r", "rules: [{backendRefs: [{name: headless, port: 80}]}]");
    let scene = Scene::start(&["a"], &(route + &headless + slice)).await?;
    scene.expect(&[("h/", "a")]).await
}
