//! Which listener and which route take a host: matching, intersection, isolation, and routes that choose a listener.

use anyhow::Result;

use crate::harness::{free_port, local};
use crate::objects::{gateway, gateway_with, listener, route};
use crate::scene::{Scene, http_route, outcome};

/// An HTTPRoute with parents of its own.
fn route_to(name: &str, parents: &str, fields: &str) -> String {
    route("HTTPRoute", "default", name, parents, fields)
}

#[tokio::test]
async fn http_route_listener_hostname_matching() -> Result<()> {
    let port = free_port();
    let hosts = ["bar.com", "foo.bar.com", "'*.bar.com'", "'*.foo.com'"];
    let listeners = ["one", "two", "three", "four"].iter().zip(hosts);
    let listeners: Vec<_> =
        listeners.map(|(name, host)| listener(name, "HTTP", port, &format!(", hostname: {host}"))).collect();
    let routes = [
        route_to("a", "{name: gw, sectionName: one}", "rules: [{backendRefs: [{name: a, port: 80}]}]"),
        route_to("b", "{name: gw, sectionName: two}", "rules: [{backendRefs: [{name: b, port: 80}]}]"),
        route_to(
            "c",
            "{name: gw, sectionName: three}, {name: gw, sectionName: four}",
            "rules: [{backendRefs: [{name: c, port: 80}]}]",
        ),
    ];
    let scene = Scene::with(&gateway(&listeners), &["a", "b", "c"], &routes.concat()).await?;
    let cases = [
        ("bar.com/", "a"),
        ("foo.bar.com/", "b"),
        ("baz.bar.com/", "c"),
        ("boo.bar.com/", "c"),
        ("multiple.prefixes.bar.com/", "c"),
        ("multiple.prefixes.foo.com/", "c"),
        ("foo.com/", "404"),
        ("no.matching.host/", "404"),
    ];
    scene.expect(&cases).await?;
    // A port in the host is no part of its name.
    scene.expect_of(scene.get(&format!("foo.bar.com:{port}/")), "b").await
}

#[tokio::test]
async fn http_route_hostname_intersection() -> Result<()> {
    let port = free_port();
    let listeners = [
        listener("exact", "HTTP", port, ", hostname: very.specific.com"),
        listener("wild", "HTTP", port, ", hostname: '*.wildcard.io'"),
        listener("other", "HTTP", port, ", hostname: '*.anotherwildcard.io'"),
    ];
    let rule = |path: &str, name: &str| {
        format!(
            "rules: [{{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], backendRefs: [{{name: {name}, port: 80}}]}}]"
        )
    };
    let hosts = |hosts: &str, path: &str, name: &str| format!("hostnames: [{hosts}]\n  {}", rule(path, name));
    let specific = "non.matching.com, '*.nonmatchingwildcard.io', very.specific.com";
    let routes = [
        http_route("specific", &hosts(specific, "/s1", "a")),
        http_route("wild-to-exact", &hosts("'*.specific.com', non.matching.com", "/s2", "b")),
        http_route("exact-to-wild", &hosts("foo.wildcard.io, bar.wildcard.io, wildcard.io", "/s3", "a")),
        http_route("wild-to-wild", &hosts("'*.anotherwildcard.io'", "/s4", "b")),
        http_route("none", &hosts("specific.but.wrong.com, wildcard.io", "/s5", "a")),
    ];
    let scene = Scene::with(&gateway(&listeners), &["a", "b"], &routes.concat()).await?;
    let cases = [
        ("very.specific.com/s1", "a"),
        ("non.matching.com/s1", "404"),
        ("foo.nonmatchingwildcard.io/s1", "404"),
        ("foo.wildcard.io/s1", "404"),
        ("very.specific.com/s2", "b"),
        ("non.matching.com/s2", "404"),
        ("other.specific.com/s2", "404"),
        ("foo.wildcard.io/s3", "a"),
        ("bar.wildcard.io/s3", "a"),
        ("foo.bar.wildcard.io/s3", "404"),
        ("wildcard.io/s3", "404"),
        ("one.anotherwildcard.io/s4", "b"),
        ("one.two.anotherwildcard.io/s4", "b"),
        ("anotherwildcard.io/s4", "404"),
        ("specific.but.wrong.com/s5", "404"),
        ("wildcard.io/s5", "404"),
    ];
    scene.expect(&cases).await?;
    scene.case.reason("HTTPRoute", "none", "Accepted", "NoMatchingListenerHostname").await
}

#[tokio::test]
async fn gateway_http_listener_isolation() -> Result<()> {
    let port = free_port();
    let listeners = [
        listener("empty", "HTTP", port, ""),
        listener("wild", "HTTP", port, ", hostname: '*.example.com'"),
        listener("wild-foo", "HTTP", port, ", hostname: '*.foo.example.com'"),
        listener("exact", "HTTP", port, ", hostname: abc.foo.example.com"),
    ];
    let routes = ["empty", "wild", "wild-foo", "exact"].map(|name| {
        let rules = format!(
            "rules: [{{matches: [{{path: {{type: PathPrefix, value: /{name}}}}}], backendRefs: [{{name: a, port: 80}}]}}]"
        );
        route_to(name, &format!("{{name: gw, sectionName: {name}}}"), &rules)
    });
    let scene = Scene::with(&gateway(&listeners), &["a"], &routes.concat()).await?;
    let hosts = [
        ("bar.com", "empty"),
        ("x.example.com", "wild"),
        ("x.foo.example.com", "wild-foo"),
        ("abc.foo.example.com", "exact"),
    ];
    for (host, own) in hosts {
        for path in ["empty", "wild", "wild-foo", "exact"] {
            let wanted = if path == own { "a" } else { "404" };
            scene.expect(&[(&format!("{host}/{path}"), wanted)]).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn http_route_wildcards_and_exact_hosts_of_one_listener() -> Result<()> {
    let to = |host: &str, name: &str| {
        format!("hostnames: [{host}]\n  rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]")
    };
    let routes = [
        http_route("any", "rules: [{backendRefs: [{name: a, port: 80}]}]"),
        http_route("wild", &to("'*.example.com'", "b")),
        http_route("longer", &to("'*.sub.example.com'", "c")),
        http_route("exact", &to("www.example.com", "d")),
    ];
    let scene = Scene::start(&["a", "b", "c", "d"], &routes.concat()).await?;
    let cases = [
        ("example.org/", "a"),
        ("example.com/", "a"),
        ("x.example.com/", "b"),
        ("x.y.example.com/", "b"),
        ("sub.example.com/", "b"),
        ("x.sub.example.com/", "c"),
        ("www.example.com/", "d"),
        ("WWW.Example.com/", "d"),
    ];
    scene.expect(&cases).await
}

#[tokio::test]
async fn http_route_listener_port_matching() -> Result<()> {
    let (one, two) = (free_port(), free_port());
    let listeners = [
        listener("one", "HTTP", one, ""),
        listener("foo", "HTTP", two, ", hostname: foo.com"),
        listener("bar", "HTTP", two, ", hostname: bar.com"),
    ];
    let to = |name: &str| format!("rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]");
    let routes = [
        route_to("a", &format!("{{name: gw, port: {one}}}"), &to("a")),
        route_to("b", &format!("{{name: gw, port: {two}}}"), &to("b")),
        // HTTPRouteInvalidParentRefNotMatchingListenerPort, HTTPRouteInvalidParentRefSectionNameNotMatchingPort
        route_to("nowhere", "{name: gw, port: 1}", &to("a")),
        route_to("mixed", &format!("{{name: gw, sectionName: one, port: {two}}}"), &to("a")),
        // HTTPRouteInvalidParentRefNotMatchingSectionName
        route_to("unnamed", "{name: gw, sectionName: three}", &to("a")),
    ];
    let scene = Scene::with(&gateway(&listeners), &["a", "b"], &routes.concat()).await?;
    scene.expect(&[("foo.com/", "a"), ("other.com/", "a")]).await?;
    for (host, wanted) in [("foo.com", "b"), ("bar.com", "b"), ("other.com", "404")] {
        let request = scene.get(host).to(local(two));
        scene.case.until("the second port", async || Ok(outcome(&request.send().await?) == wanted)).await?;
    }
    for name in ["nowhere", "mixed", "unnamed"] {
        scene.case.reason("HTTPRoute", name, "Accepted", "NoMatchingParent").await?;
    }
    Ok(())
}

#[tokio::test]
async fn http_route_multiple_gateways() -> Result<()> {
    let second = free_port();
    let other = gateway_with("other", &[listener("http", "HTTP", second, "")], "");
    let routes = [
        route_to(
            "both",
            "{name: gw}, {name: other}",
            "hostnames: [both.com]\n  rules: [{backendRefs: [{name: a, port: 80}]}]",
        ),
        route_to("other", "{name: other}", "hostnames: [other.com]\n  rules: [{backendRefs: [{name: a, port: 80}]}]"),
    ];
    let scene = Scene::start(&["a"], &(other + &routes.concat())).await?;
    scene.case.programmed("other").await?;
    scene.expect(&[("both.com/", "a"), ("other.com/", "404")]).await?;
    for host in ["both.com", "other.com"] {
        let request = scene.get(host).to(local(second));
        scene.case.until("the other Gateway", async || Ok(outcome(&request.send().await?) == "a")).await?;
    }
    Ok(())
}
