//! Which rule takes a request: path, headers, query, method, and the order among them.

use anyhow::Result;
use http::Method;

use crate::scene::{Scene, http_route};

#[tokio::test]
async fn http_route_simple_same_namespace() -> Result<()> {
    let scene = Scene::start(&["a"], &http_route("r", "rules: [{backendRefs: [{name: a, port: 80}]}]")).await?;
    scene.expect(&[("example.com", "a"), ("other.example/any?thing=1", "a")]).await?;
    scene.expect_of(scene.get("example.com").http2(), "a").await?;
    scene.attached("http", 1).await
}

#[tokio::test]
async fn http_route_exact_path_matching() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: Exact, value: /one}}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: Exact, value: /two}}]
    backendRefs: [{name: b, port: 80}]",
    );
    let scene = Scene::start(&["a", "b"], &route).await?;
    let cases = [
        ("h/", "404"),
        ("h/one", "a"),
        ("h/one?x=1", "a"),
        ("h/two", "b"),
        ("h/one/", "404"),
        ("h/one/more", "404"),
        ("h/oneish", "404"),
        ("h/One", "404"),
        ("h/Two/", "404"),
    ];
    scene.expect(&cases).await
}

#[tokio::test]
async fn http_route_path_match_order() -> Result<()> {
    let rule = |kind: &str, value: &str, name: &str| {
        format!(
            "\n  - matches: [{{path: {{type: {kind}, value: {value}}}}}]\n    backendRefs: [{{name: {name}, port: 80}}]"
        )
    };
    let rules = [
        rule("PathPrefix", "/match", "a"),
        rule("PathPrefix", "/match/prefix/one", "b"),
        rule("Exact", "/match/exact", "c"),
        rule("Exact", "/match/exact/one", "d"),
        rule("PathPrefix", "/match/prefix/", "e"),
        rule("PathPrefix", "/match/exact", "f"),
    ];
    let scene =
        Scene::start(&["a", "b", "c", "d", "e", "f"], &http_route("r", &format!("rules:{}", rules.concat()))).await?;
    let cases = [
        ("h/", "404"),
        ("h/matchless", "404"),
        ("h/match", "a"),
        ("h/match/other", "a"),
        ("h/match/exact", "c"),
        ("h/match/exact/", "f"),
        ("h/match/exact/one", "d"),
        ("h/match/exact/two", "f"),
        ("h/match/prefix", "e"),
        ("h/match/prefix/two", "e"),
        ("h/match/prefix/one", "b"),
        ("h/match/prefix/one/two", "b"),
        ("h/match/prefix/oneish", "e"),
    ];
    scene.expect(&cases).await
}

#[tokio::test]
async fn http_route_path_regular_expression() -> Result<()> {
    let route = http_route(
        "r",
        r"rules:
  - matches: [{path: {type: RegularExpression, value: '/v[0-9]+/items/[^/]+'}}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /v1}}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{path: {type: Exact, value: /v2/items/exact}}]
    backendRefs: [{name: c, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c"], &route).await?;
    let cases = [
        // The whole path must match, without the query.
        ("h/v2/items/7", "a"),
        ("h/v2/items/7?x=/y", "a"),
        ("h/v2/items/7/parts", "404"),
        ("h/x/v2/items/7", "404"),
        ("h/v2/items/exact", "c"),
        ("h/v1/other", "b"),
    ];
    scene.expect(&cases).await
}

#[tokio::test]
async fn http_route_header_matching() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{headers: [{name: version, value: one}]}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{headers: [{name: version, value: two}]}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{headers: [{name: version, value: two}, {name: color, value: orange}]}]
    backendRefs: [{name: c, port: 80}]
  - matches:
    - headers: [{name: color, value: blue}]
    - headers: [{name: color, value: green}]
    backendRefs: [{name: d, port: 80}]
  - matches: [{headers: [{type: RegularExpression, name: color, value: 'dark-.*'}]}]
    backendRefs: [{name: e, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c", "d", "e"], &route).await?;
    let cases: [(&[(&str, &str)], &str); 11] = [
        (&[("version", "one")], "a"),
        (&[("Version", "two")], "b"),
        (&[("version", "two"), ("color", "orange")], "c"),
        (&[("color", "blue")], "d"),
        (&[("color", "green")], "d"),
        (&[("color", "dark-red")], "e"),
        (&[("color", "very-dark-red")], "404"),
        (&[("color", "orange")], "404"),
        (&[("version", "oneish")], "404"),
        (&[("other", "one")], "404"),
        // Both match with one header each: the first rule.
        (&[("version", "one"), ("color", "blue")], "a"),
    ];
    for (headers, wanted) in cases {
        let request = headers.iter().fold(scene.get("h/"), |request, (name, value)| request.header(name, value));
        scene.expect_of(request, wanted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn http_route_query_param_matching() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{queryParams: [{name: animal, value: whale}]}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{queryParams: [{type: RegularExpression, name: animal, value: 'd.*'}]}]
    backendRefs: [{name: c, port: 80}]
  - matches: [{path: {type: Exact, value: /path}, queryParams: [{name: animal, value: whale}]}]
    backendRefs: [{name: d, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c", "d"], &route).await?;
    let cases = [
        ("h/?animal=whale", "a"),
        ("h/?animal=dolphin", "c"),
        ("h/?animal=dolphin&color=blue", "b"),
        ("h/?color=blue&animal=dolphin", "b"),
        ("h/?animal=dog&color=blue", "c"),
        ("h/?animal=Whale", "404"),
        ("h/?color=blue", "404"),
        ("h/", "404"),
        ("h/path?animal=whale", "d"),
        ("h/path/?animal=whale", "a"),
        // The first value counts.
        ("h/?animal=whale&animal=dolphin", "a"),
    ];
    scene.expect(&cases).await
}

#[tokio::test]
async fn http_route_method_matching() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{method: POST}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{method: GET}]
    backendRefs: [{name: b, port: 80}]
  - matches: [{method: PATCH}, {method: PUT, path: {type: PathPrefix, value: /p}}]
    backendRefs: [{name: c, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /p}}]
    backendRefs: [{name: d, port: 80}]
  - matches: [{headers: [{name: version, value: one}]}]
    backendRefs: [{name: d, port: 80}]",
    );
    let scene = Scene::start(&["a", "b", "c", "d"], &route).await?;
    let cases = [
        (Method::POST, "h/", "a"),
        (Method::GET, "h/", "b"),
        (Method::PATCH, "h/", "c"),
        (Method::PUT, "h/p", "c"),
        (Method::PUT, "h/", "404"),
        (Method::DELETE, "h/", "404"),
        // A longer path is more specific than a method.
        (Method::GET, "h/p", "d"),
    ];
    for (method, url, wanted) in cases {
        scene.expect_of(scene.request(method, url), wanted).await?;
    }
    // A method is more specific than a header.
    scene.expect_of(scene.get("h/").header("version", "one"), "b").await?;
    scene.expect_of(scene.request(Method::DELETE, "h/").header("version", "one"), "d").await
}

#[tokio::test]
async fn http_route_matching() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches:
    - path: {type: PathPrefix, value: /}
    - headers: [{name: version, value: one}]
    backendRefs: [{name: a, port: 80}]
  - matches:
    - path: {type: PathPrefix, value: /v2}
    - headers: [{name: version, value: two}]
    backendRefs: [{name: b, port: 80}]",
    );
    let scene = Scene::start(&["a", "b"], &route).await?;
    scene
        .expect(&[("h/", "a"), ("h/example", "a"), ("h/v2", "b"), ("h/v2/example", "b"), ("h/v2example", "a")])
        .await?;
    scene.expect_of(scene.get("h/").header("version", "one"), "a").await?;
    scene.expect_of(scene.get("h/v2/").header("version", "one"), "b").await?;
    scene.expect_of(scene.get("h/").header("version", "two"), "b").await
}

#[tokio::test]
async fn http_route_matching_across_routes() -> Result<()> {
    let first = http_route(
        "first",
        "hostnames: [example.com, example.net]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}, {headers: [{name: version, value: one}]}]
    backendRefs: [{name: a, port: 80}]",
    );
    let second = http_route(
        "second",
        "hostnames: [example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v2}}, {headers: [{name: version, value: two}]}]
    backendRefs: [{name: b, port: 80}]",
    );
    let same = http_route(
        "zz-same",
        "hostnames: [example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v2}}]
    backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a", "b"], &[first, second, same].concat()).await?;
    let cases = [
        ("example.com/", "a"),
        ("example.com/example", "a"),
        ("example.net/example", "a"),
        // Of two equal matches, that of the route that is first by age and then by name.
        ("example.com/v2", "b"),
        ("example.com/v2/example", "b"),
        ("example.com/v2example", "a"),
        ("example.net/v2", "a"),
        ("example.org/", "404"),
    ];
    scene.expect(&cases).await?;
    scene.expect_of(scene.get("example.com/").header("version", "two"), "b").await?;
    scene.expect_of(scene.get("example.net/").header("version", "two"), "a").await
}

#[tokio::test]
async fn http_route_named_rule() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - name: named
    matches: [{path: {type: PathPrefix, value: /named}}]
    backendRefs: [{name: a, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /unnamed}}]
    backendRefs: [{name: b, port: 80}]",
    );
    let scene = Scene::start(&["a", "b"], &route).await?;
    scene.expect(&[("h/named", "a"), ("h/unnamed", "b")]).await
}
