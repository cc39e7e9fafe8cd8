//! Which namespaces and kinds of routes a listener takes, and what becomes of the others.

use anyhow::Result;

use crate::harness::{free_port, local};
use crate::objects::{gateway, route};
use crate::scene::{Scene, http_route, outcome};

/// A listener that takes certain routes.
fn open_to(name: &str, port: u16, allowed: &str) -> String {
    format!("{{name: {name}, protocol: HTTP, port: {port}, allowedRoutes: {{{allowed}}}}}")
}

/// A route of another namespace to a backend of `default`, which it is granted.
fn far_route(namespace: &str, section: &str) -> String {
    let parent = format!("{{name: gw, namespace: default, sectionName: {section}}}");
    let fields = "rules: [{backendRefs: [{name: a, namespace: default, port: 80}]}]";
    route("HTTPRoute", namespace, &format!("{namespace}-{section}"), &parent, fields)
        + &crate::objects::grant("HTTPRoute", namespace, "default")
}

#[tokio::test]
async fn http_route_cross_namespace() -> Result<()> {
    let ports = [free_port(), free_port(), free_port()];
    let listeners = [
        open_to("all", ports[0], "namespaces: {from: All}"),
        open_to("same", ports[1], "namespaces: {from: Same}"),
        open_to("some", ports[2], "namespaces: {from: Selector, selector: {matchLabels: {team: a}}}"),
    ];
    let namespaces = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: good, labels: {team: a}}\n\
                      ---\napiVersion: v1\nkind: Namespace\nmetadata: {name: bad, labels: {team: b}}\n";
    let routes =
        [far_route("good", "all"), far_route("good", "same"), far_route("good", "some"), far_route("bad", "some")];
    let scene = Scene::with(&gateway(&listeners), &["a"], &(namespaces.to_owned() + &routes.concat())).await?;
    for (port, wanted) in ports.into_iter().zip(["a", "404", "a"]) {
        let found = async || Ok(outcome(&scene.get("h/").to(local(port)).send().await?) == wanted);
        scene.case.until(&format!("{wanted} on {port}"), found).await?;
    }
    // HTTPRouteInvalidCrossNamespaceParentRef
    for name in ["good-same", "bad-some"] {
        scene.case.reason("HTTPRoute", name, "Accepted", "NotAllowedByListeners").await?;
    }
    for (name, count) in [("all", 1), ("same", 0), ("some", 1)] {
        scene.case.attached("gw", name, count).await?;
    }
    // A label changes: the namespace is one of them now.
    let text = std::fs::read_to_string(scene.case.file("main"))?;
    scene.case.write("main", &text.replace("team: b", "team: a"))?;
    scene.case.attached("gw", "some", 2).await
}

#[tokio::test]
async fn gateway_invalid_route_kind() -> Result<()> {
    let (port, bad) = (free_port(), free_port());
    let listeners = [
        open_to("grpc", port, "kinds: [{kind: GRPCRoute}]"),
        open_to("mixed", bad, "kinds: [{kind: HTTPRoute}, {kind: Unknown}]"),
    ];
    let route = http_route("r", "rules: [{backendRefs: [{name: a, port: 80}]}]");
    let scene = Scene::with(&gateway(&listeners), &["a"], &route).await?;
    scene.case.attached("gw", "grpc", 0).await?;
    scene.case.attached("gw", "mixed", 1).await?;
    scene.case.reason("Gateway", "gw", "ResolvedRefs", "InvalidRouteKinds").await?;
    assert_eq!(scene.ask("h/").await?.status, 404);
    let found = async || Ok(outcome(&scene.get("h/").to(local(bad)).send().await?) == "a");
    scene.case.until("the other listener", found).await
}

#[tokio::test]
async fn gateway_with_attached_routes_and_modify_listeners() -> Result<()> {
    let (one, two) = (free_port(), free_port());
    let first = crate::objects::listener("one", "HTTP", one, "");
    let routes = http_route("r", "rules: [{backendRefs: [{name: a, port: 80}]}]")
        + &http_route("s", "hostnames: [s.com]\n  rules: [{backendRefs: [{name: b, port: 80}]}]");
    let scene = Scene::with(&gateway(std::slice::from_ref(&first)), &["a", "b"], &routes).await?;
    scene.case.attached("gw", "one", 2).await?;
    scene.expect(&[("h/", "a"), ("s.com/", "b")]).await?;
    // GatewayModifyListeners, GatewayObservedGenerationBump: a listener more, then the first one less.
    let second = crate::objects::listener("two", "HTTP", two, "");
    let text = std::fs::read_to_string(scene.case.file("main"))?;
    let with = |listeners: &[String]| text.replace(&gateway(std::slice::from_ref(&first)), &gateway(listeners));
    scene.case.write("main", &with(&[first.clone(), second.clone()]))?;
    scene.case.attached("gw", "two", 2).await?;
    let answers = async || Ok(outcome(&scene.get("s.com/").to(local(two)).send().await?) == "b");
    scene.case.until("the second listener", answers).await?;
    scene.case.write("main", &with(std::slice::from_ref(&second)))?;
    let refused = async || Ok(scene.ask("h/").await.is_err());
    scene.case.until("the first listener to be gone", refused).await?;
    assert_eq!(outcome(&scene.get("h/").to(local(two)).send().await?), "a");
    Ok(())
}
