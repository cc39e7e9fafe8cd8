//! ListenerSet: listeners from elsewhere, and routes to them.

use anyhow::Result;

use crate::harness::{free_port, local};
use crate::objects::{gateway_with, listener, route};
use crate::scene::{Scene, http_route, outcome};

fn listener_set(namespace: &str, name: &str, listeners: &[String]) -> String {
    let listeners: String = listeners.iter().map(|listener| format!("  - {listener}\n")).collect();
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  parentRef: {{name: gw, namespace: default}}\n  listeners:\n{listeners}"
    )
}

fn namespace(name: &str, labels: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
}

/// A Gateway that takes ListenerSets from these namespaces.
fn open_gateway(from: &str, listeners: &[String]) -> String {
    gateway_with("gw", listeners, &format!("  allowedListeners: {{namespaces: {{{from}}}}}\n"))
}

/// A route to a ListenerSet.
fn route_to(set: &str, name: &str, hosts: &str) -> String {
    let parent = format!("{{group: gateway.networking.k8s.io, kind: ListenerSet, name: {set}}}");
    let fields = format!("hostnames: [{hosts}]\n  rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]");
    route("HTTPRoute", "default", name, &parent, &fields)
}

async fn answers(scene: &Scene, port: u16, host: &str, wanted: &str) -> Result<()> {
    let found = async || Ok(outcome(&scene.get(host).to(local(port)).send().await?) == wanted);
    scene.case.until(&format!("{wanted} from {host}"), found).await
}

#[tokio::test]
async fn listener_set_http_routing() -> Result<()> {
    let (own, more) = (free_port(), free_port());
    let manifests = [
        listener_set(
            "default",
            "set",
            &[listener("same-port", "HTTP", own, ", hostname: set.com"), listener("more", "HTTP", more, "")],
        ),
        http_route("a", "rules: [{backendRefs: [{name: a, port: 80}]}]"),
        route_to("set", "b", "set.com, other.com"),
    ];
    let gateway = open_gateway("from: Same", &[listener("http", "HTTP", own, ", hostname: gw.com")]);
    let scene = Scene::with(&gateway, &["a", "b"], &manifests.concat()).await?;
    // ListenerSetRouteStatusScopedToParentRef: a route of the Gateway is none of the ListenerSet's, and the other way round.
    scene.expect(&[("gw.com/", "a"), ("set.com/", "b"), ("other.com/", "404")]).await?;
    answers(&scene, more, "other.com", "b").await?;
    answers(&scene, more, "set.com", "b").await?;
    answers(&scene, more, "gw.com", "404").await?;
    scene.case.condition("ListenerSet", "set", "Programmed", "True").await?;
    assert_eq!(scene.case.status("Gateway", "gw").await?["attachedListenerSets"], 1);
    scene.attached("http", 1).await
}

#[tokio::test]
async fn listener_set_allowed_namespace_selector() -> Result<()> {
    let (own, good, bad) = (free_port(), free_port(), free_port());
    let manifests = [
        namespace("good", "team: a"),
        namespace("bad", "team: b"),
        listener_set("good", "good", &[listener("l", "HTTP", good, "")]),
        listener_set("bad", "bad", &[listener("l", "HTTP", bad, "")]),
        http_route("a", "rules: [{backendRefs: [{name: a, port: 80}]}]"),
        route(
            "HTTPRoute",
            "default",
            "good",
            "{group: gateway.networking.k8s.io, kind: ListenerSet, name: good, namespace: good}",
            "rules: [{backendRefs: [{name: a, port: 80}]}]",
        ),
    ];
    let gateway =
        open_gateway("from: Selector, selector: {matchLabels: {team: a}}", &[listener("http", "HTTP", own, "")]);
    let scene = Scene::with(&gateway, &["a"], &manifests.concat()).await?;
    answers(&scene, good, "any.com", "a").await?;
    scene.case.condition("ListenerSet", "good", "Accepted", "True").await?;
    scene.case.reason("ListenerSet", "bad", "Accepted", "NotAllowed").await?;
    assert!(scene.get("any.com").to(local(bad)).send().await.is_err());
    Ok(())
}

#[tokio::test]
async fn listener_set_default_not_allowed() -> Result<()> {
    let (own, more) = (free_port(), free_port());
    let set = listener_set("default", "set", &[listener("l", "HTTP", more, "")]);
    let gateway = gateway_with("gw", &[listener("http", "HTTP", own, "")], "");
    let route = http_route("a", "rules: [{backendRefs: [{name: a, port: 80}]}]");
    let scene = Scene::with(&gateway, &["a"], &(set + &route)).await?;
    scene.case.reason("ListenerSet", "set", "Accepted", "NotAllowed").await?;
    assert!(scene.get("any.com").to(local(more)).send().await.is_err());
    scene.expect(&[("any.com/", "a")]).await
}

#[tokio::test]
async fn listener_set_hostname_conflict() -> Result<()> {
    let own = free_port();
    let manifests = [
        listener_set(
            "default",
            "set",
            &[
                listener("clash", "HTTP", own, ", hostname: gw.com"),
                listener("fine", "HTTP", own, ", hostname: set.com"),
            ],
        ),
        http_route("a", "rules: [{backendRefs: [{name: a, port: 80}]}]"),
        route_to("set", "b", "gw.com, set.com"),
    ];
    let gateway = open_gateway("from: All", &[listener("http", "HTTP", own, ", hostname: gw.com")]);
    let scene = Scene::with(&gateway, &["a", "b"], &manifests.concat()).await?;
    // The Gateway's own listener comes first; the rest of the set is served.
    scene.expect(&[("gw.com/", "a"), ("set.com/", "b")]).await?;
    scene.case.reason("ListenerSet", "set", "Conflicted", "HostnameConflict").await
}
