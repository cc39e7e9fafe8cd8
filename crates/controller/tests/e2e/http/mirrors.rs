//! Copies of requests: where they arrive, and how many.

use anyhow::Result;
use testbed::PATIENCE;
use testbed::wait::wait_for_value;

use crate::scene::{Scene, http_route};

const MIRROR: &str = "type: RequestMirror, requestMirror";

/// Waits until a backend has seen so many requests.
async fn arrived(scene: &Scene, name: &str, count: u64) -> Result<()> {
    wait_for_value(&format!("requests at {name}"), PATIENCE, &count, async || scene.backend(name).count()).await
}

#[tokio::test]
async fn http_route_request_mirror() -> Result<()> {
    let route = http_route(
        "r",
        &format!(
            "rules:
  - matches: [{{path: {{type: PathPrefix, value: /mirror}}}}]
    filters: [{{{MIRROR}: {{backendRef: {{name: b, port: 80}}}}}}]
    backendRefs: [{{name: a, port: 80}}]
  - matches: [{{path: {{type: PathPrefix, value: /changed}}}}]
    filters:
    - {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-set, value: one}}], remove: [x-gone]}}}}
    - {{{MIRROR}: {{backendRef: {{name: b, port: 80}}}}}}
    backendRefs: [{{name: a, port: 80}}]
  - backendRefs: [{{name: a, port: 80}}]"
        ),
    );
    let scene = Scene::start(&["a", "b"], &route).await?;
    // The answer of the copy is thrown away.
    scene.backend("b").answer_with(Some(500));
    scene.expect(&[("h/mirror/x?y=1", "a"), ("h/other", "a")]).await?;
    arrived(&scene, "b", 1).await?;
    assert_eq!(scene.backend("b").requests()[0].path, "/mirror/x?y=1");
    scene.expect_of(scene.get("h/changed").header("x-gone", "1"), "a").await?;
    arrived(&scene, "b", 2).await?;
    let copy = &scene.backend("b").requests()[1];
    assert_eq!((copy.header("x-set"), copy.header("x-gone")), (Some("one"), None));
    assert_eq!(scene.backend("a").count(), 3);
    Ok(())
}

#[tokio::test]
async fn http_route_request_multiple_mirrors() -> Result<()> {
    let route = http_route(
        "r",
        &format!(
            "rules:
  - filters:
    - {{{MIRROR}: {{backendRef: {{name: b, port: 80}}}}}}
    - {{{MIRROR}: {{backendRef: {{name: c, port: 80}}}}}}
    backendRefs: [{{name: a, port: 80}}]"
        ),
    );
    let mut scene = Scene::start(&["a", "b", "c"], &route).await?;
    for _ in 0..5 {
        scene.expect(&[("h/", "a")]).await?;
    }
    arrived(&scene, "b", 5).await?;
    arrived(&scene, "c", 5).await?;
    // A copy that cannot be delivered harms nobody.
    scene.stop_backend("c").await?;
    scene.expect(&[("h/", "a")]).await?;
    arrived(&scene, "b", 6).await
}

#[tokio::test]
async fn http_route_request_percentage_mirror() -> Result<()> {
    let mirror = |path: &str, share: &str| {
        format!(
            "
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{{{MIRROR}: {{backendRef: {{name: {}, port: 80}}, {share}}}}}]
    backendRefs: [{{name: a, port: 80}}]",
            &path[1..]
        )
    };
    let rules = [
        mirror("/all", "percent: 100"),
        mirror("/none", "percent: 0"),
        mirror("/half", "percent: 50"),
        mirror("/quarter", "fraction: {numerator: 1, denominator: 4}"),
    ];
    let names = ["a", "all", "none", "half", "quarter"];
    let scene = Scene::start(&names, &http_route("r", &format!("rules:{}", rules.concat()))).await?;
    for path in ["all", "none", "half", "quarter"] {
        for _ in 0..200 {
            scene.expect(&[(&format!("h/{path}"), "a")]).await?;
        }
    }
    arrived(&scene, "all", 200).await?;
    assert_eq!(scene.backend("none").count(), 0);
    // Five standard deviations of 200 throws.
    let (half, quarter) = (scene.backend("half").count(), scene.backend("quarter").count());
    assert!((65..=135).contains(&half), "{half} of 200 for a half");
    assert!((20..=80).contains(&quarter), "{quarter} of 200 for a quarter");
    Ok(())
}

#[tokio::test]
async fn a_mirror_to_a_backend_that_is_not_there_is_told_and_does_no_harm() -> Result<()> {
    let route = http_route(
        "r",
        &format!(
            "rules:
  - filters: [{{{MIRROR}: {{backendRef: {{name: nowhere, port: 80}}}}}}]
    backendRefs: [{{name: a, port: 80}}]"
        ),
    );
    let scene = Scene::start(&["a"], &route).await?;
    scene.expect(&[("h/", "a")]).await?;
    scene.case.reason("HTTPRoute", "r", "ResolvedRefs", "BackendNotFound").await
}
