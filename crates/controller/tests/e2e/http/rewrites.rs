//! What the backend sees instead of the host and path that were asked for.

use anyhow::Result;

use crate::scene::{Scene, http_route};

/// A rule for each path, which rewrites so; to the backend `a`.
fn rewrites(rules: &[(&str, &str)]) -> String {
    let rules: String = rules
        .iter()
        .map(|(path, rewrite)| {
            format!(
                "
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{{rewrite}}}}}]
    backendRefs: [{{name: a, port: 80}}]"
            )
        })
        .collect();
    http_route("r", &format!("rules:{rules}"))
}

/// Asks each URL; the backend should see this host and path.
async fn expect(scene: &Scene, cases: &[(&str, &str)]) -> Result<()> {
    for (url, wanted) in cases {
        let seen = scene.seen(scene.get(url)).await?;
        assert_eq!(format!("{}{}", seen.host, seen.path), *wanted, "{url}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_rewrite_host() -> Result<()> {
    let route = rewrites(&[
        ("/host", "hostname: one.example.org"),
        ("/host-and-path", "hostname: test.example.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /prefix}"),
    ]);
    let scene = Scene::start(&["a"], &route).await?;
    let cases = [
        ("h.com/host", "one.example.org/host"),
        ("h.com/host/two?x=1", "one.example.org/host/two?x=1"),
        ("h.com/host-and-path/two", "test.example.org/prefix/two"),
    ];
    expect(&scene, &cases).await
}

#[tokio::test]
async fn http_route_rewrite_path() -> Result<()> {
    let prefix = |to: &str| format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: {to}}}");
    let route = rewrites(&[
        ("/prefix/one", &prefix("/one")),
        ("/strip-prefix", &prefix("/")),
        ("/strip-empty", &prefix("''")),
        ("/to-slash", &prefix("/new/")),
        ("/slash/", &prefix("/new")),
        ("/full/one", "path: {type: ReplaceFullPath, replaceFullPath: /one}"),
        ("/full/root", "path: {type: ReplaceFullPath, replaceFullPath: /}"),
    ]);
    let scene = Scene::start(&["a"], &route).await?;
    let cases = [
        ("h.com/prefix/one/two", "h.com/one/two"),
        ("h.com/prefix/one", "h.com/one"),
        ("h.com/prefix/one/", "h.com/one/"),
        ("h.com/prefix/one?x=/y", "h.com/one?x=/y"),
        ("h.com/strip-prefix/three", "h.com/three"),
        ("h.com/strip-prefix", "h.com/"),
        ("h.com/strip-prefix/", "h.com/"),
        ("h.com/strip-prefix?x=1", "h.com/?x=1"),
        ("h.com/strip-empty/three", "h.com/three"),
        ("h.com/strip-empty", "h.com/"),
        ("h.com/to-slash/three", "h.com/new/three"),
        ("h.com/slash/three", "h.com/new/three"),
        ("h.com/full/one/two", "h.com/one"),
        ("h.com/full/one/two?x=1", "h.com/one?x=1"),
        ("h.com/full/root/two", "h.com/"),
    ];
    expect(&scene, &cases).await
}

#[tokio::test]
async fn http_route_rewrite_with_header_modifier() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /prefix}}]
    filters:
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /one}}}
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: X-Set, value: set}], add: [{name: X-Add, value: add}], remove: [X-Gone]}
    backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    let seen = scene.seen(scene.get("h.com/prefix/two").header("x-gone", "1").header("x-add", "0")).await?;
    assert_eq!(seen.path, "/one/two");
    assert_eq!((seen.header("x-set"), seen.header("x-gone")), (Some("set"), None));
    assert_eq!(seen.all("x-add").join(","), "0,add");
    Ok(())
}
