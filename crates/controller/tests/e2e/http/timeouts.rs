//! How long a request may take, and when it is tried again.

use anyhow::Result;

use crate::scene::{BOTH, Scene, http_route};

#[tokio::test]
async fn http_route_timeout_request() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /timeout}}]
    timeouts: {request: 300ms}
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /disabled}}]
    timeouts: {request: 0s}
    backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/timeout", "a"), ("h/timeout?delay=5s", "504"), ("h/disabled?delay=600ms", "a")]).await
}

#[tokio::test]
async fn http_route_timeout_backend_request() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /backend}}]
    timeouts: {backendRequest: 300ms}
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /both}}]
    timeouts: {request: 10s, backendRequest: 300ms}
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /disabled}}]
    timeouts: {backendRequest: 0s}
    backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    let cases = [
        ("h/backend", "a"),
        ("h/backend?delay=5s", "504"),
        ("h/both?delay=5s", "504"),
        ("h/disabled?delay=600ms", "a"),
    ];
    scene.expect(&cases).await
}

#[tokio::test]
async fn http_route_retry() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /twice}}]
    retry: {codes: [500, 503], attempts: 2, backoff: 10ms}
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /other}}]
    retry: {codes: [500], attempts: 2, backoff: 10ms}
    backendRefs: [{name: a, port: 80}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/twice?fail=2", "a")]).await?;
    assert_eq!(scene.backend("a").count(), 3);
    scene.expect(&[("h/twice?fail=3", "503")]).await?;
    assert_eq!(scene.backend("a").count(), 6);
    // A code that is not in the list, and no retry at all.
    scene.expect(&[("h/other?fail=1", "503"), ("h/none?fail=1", "503")]).await?;
    assert_eq!(scene.backend("a").count(), 8);
    Ok(())
}

#[tokio::test]
async fn http_route_retry_connection_error() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /retry}}]
    retry: {attempts: 5, backoff: 10ms}
    backendRefs: [{name: both, port: 80}]
  - backendRefs: [{name: both, port: 80}]",
    );
    // Two end points, one of which refuses connections.
    let mut scene = Scene::start(&["a", "b"], &(route + BOTH)).await?;
    scene.stop_backend("b").await?;
    for _ in 0..10 {
        scene.expect(&[("h/retry", "a")]).await?;
    }
    let counts = scene.count("h/", 20).await?;
    assert!(counts["a"] > 0 && counts["503"] > 0, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn http_route_retry_backend_timeout() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - timeouts: {request: 10s, backendRequest: 300ms}
    retry: {codes: [504], attempts: 2, backoff: 10ms}
    backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/?delay=5s", "504")]).await?;
    assert_eq!(scene.backend("a").count(), 3);
    Ok(())
}
