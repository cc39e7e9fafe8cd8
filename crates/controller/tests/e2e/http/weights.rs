//! Several backends, none, and bad ones.

use anyhow::Result;

use crate::objects::{grant, service};
use crate::scene::{Scene, http_route};

#[tokio::test]
async fn http_route_weight() -> Result<()> {
    let route = http_route(
        "r",
        "rules: [{backendRefs: [{name: a, port: 80, weight: 70}, {name: b, port: 80, weight: 30}, {name: c, port: 80, \
         weight: 0}]}]",
    );
    let scene = Scene::start(&["a", "b", "c"], &route).await?;
    let counts = scene.count("h/", 500).await?;
    // 350 expected; five standard deviations are 51.
    assert!((299..=401).contains(&counts["a"]), "{counts:?}");
    assert_eq!(counts["a"] + counts["b"], 500, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn http_route_no_backend_refs() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /none}}]
  - matches: [{path: {type: PathPrefix, value: /zero}}]
    backendRefs: [{name: a, port: 80, weight: 0}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/none", "500"), ("h/zero", "500"), ("h/", "a")]).await
}

#[tokio::test]
async fn http_route_invalid_non_existent_backend_ref() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /bad}}]
    backendRefs: [{name: nowhere, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /port}}]
    backendRefs: [{name: a, port: 81}]
  - matches: [{path: {type: PathPrefix, value: /share}}]
    backendRefs: [{name: nowhere, port: 80, weight: 1}, {name: a, port: 80, weight: 1}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/bad", "500"), ("h/port", "500"), ("h/", "a")]).await?;
    let counts = scene.count("h/share", 100).await?;
    assert!(counts["500"] >= 25 && counts["a"] >= 25, "{counts:?}");
    scene.case.reason("HTTPRoute", "r", "ResolvedRefs", "BackendNotFound").await?;
    scene.case.condition("HTTPRoute", "r", "Accepted", "True").await?;
    // The Service comes, and the route is whole.
    scene.case.write("late", &service("default", "nowhere", &[scene.backend("a").address()]))?;
    scene.until("h/bad", "a").await
}

#[tokio::test]
async fn http_route_invalid_backend_ref_unknown_kind() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /bad}}]
    backendRefs: [{group: unknown.example.com, kind: Nonexistent, name: a, port: 80}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/bad", "500"), ("h/", "a")]).await?;
    scene.case.reason("HTTPRoute", "r", "ResolvedRefs", "InvalidKind").await
}

#[tokio::test]
async fn http_route_service_without_endpoints() -> Result<()> {
    let route = http_route("r", "rules: [{backendRefs: [{name: empty, port: 80}]}]");
    let scene = Scene::start(&["a"], &(route + &service("default", "empty", &[]))).await?;
    // The back end is a good one that has nobody just now: 503, and not an error of the route.
    scene.expect(&[("h/", "503")]).await?;
    scene.case.condition("HTTPRoute", "r", "ResolvedRefs", "True").await?;
    scene.case.write("late", &service("default", "empty", &[scene.backend("a").address()]))?;
    scene.until("h/", "a").await
}

#[tokio::test]
async fn http_route_reference_grant() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /far}}]
    backendRefs: [{name: far, namespace: other, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /share}}]
    backendRefs: [{name: far, namespace: other, port: 80}, {name: a, port: 80}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let far = "---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: other}
spec: {ports: [{name: p, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: far-0, namespace: other, labels: {kubernetes.io/service-name: far}}
addressType: IPv4
ports: [{name: p, port: ${b}}]
endpoints: [{addresses: [127.0.0.1]}]
";
    let scene = Scene::start(&["a", "b"], &(route + far)).await?;
    // HTTPRouteInvalidCrossNamespaceBackendRef, HTTPRoutePartiallyInvalidViaInvalidReferenceGrant
    scene.expect(&[("h/far", "500"), ("h/", "a")]).await?;
    scene.case.reason("HTTPRoute", "r", "ResolvedRefs", "RefNotPermitted").await?;
    let counts = scene.count("h/share", 100).await?;
    assert!(counts["500"] >= 25 && counts["a"] >= 25, "{counts:?}");
    // HTTPRouteInvalidReferenceGrant: for another kind, or from another namespace.
    let wrong = grant("GRPCRoute", "default", "other") + &grant("HTTPRoute", "elsewhere", "other");
    scene.case.write("grant", &wrong)?;
    scene.expect(&[("h/far", "500")]).await?;
    scene.case.write("grant", &grant("HTTPRoute", "default", "other"))?;
    scene.until("h/far", "b").await?;
    scene.case.condition("HTTPRoute", "r", "ResolvedRefs", "True").await?;
    scene.case.remove("grant")?;
    scene.until("h/far", "500").await?;
    scene.case.reason("HTTPRoute", "r", "ResolvedRefs", "RefNotPermitted").await
}
