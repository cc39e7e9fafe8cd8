//! HTTPRouteFilter: direct answers, rewrites by regular expression, credentials, cookies.

use anyhow::Result;
use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::scene::{Scene, http_route};

fn filter(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\nmetadata: {{name: {name}, namespace: default}}\n\
         spec: {spec}\n"
    )
}

/// A route with a rule for each of these filters, at the path of its name; to the backend `a`.
fn by_path(names: &[&str]) -> String {
    let rule = |name: &&str| {
        format!(
            "
  - matches: [{{path: {{type: PathPrefix, value: /{name}}}}}]
    filters: [{{type: ExtensionRef, extensionRef: {{group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: {name}}}}}]
    backendRefs: [{{name: a, port: 80}}]"
        )
    };
    http_route("r", &format!("rules:{}", names.iter().map(rule).collect::<String>()))
}

#[tokio::test]
async fn http_route_filter_direct_response() -> Result<()> {
    let filters = [
        filter(
            "inline",
            "{directResponse: {statusCode: 418, contentType: text/html, body: {type: Inline, inline: '<b>no 100%</b>'}, \
             header: {set: [{name: x-set, value: '50% off'}]}}}",
        ),
        filter(
            "map",
            "{directResponse: {statusCode: 503, body: {type: ValueRef, valueRef: {group: '', kind: ConfigMap, \
             name: texts}}}}",
        ),
        filter("bare", "{directResponse: {}}"),
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: texts, namespace: default}\n\
         data: {response.body: later}\n"
            .to_owned(),
    ];
    let scene = Scene::start(&["a"], &(by_path(&["inline", "map", "bare"]) + &filters.concat())).await?;
    let answer = scene.ask("h/inline").await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (418, "<b>no 100%</b>"));
    assert_eq!((answer.header("content-type"), answer.header("x-set")), (Some("text/html"), Some("50% off")));
    let answer = scene.ask("h/map").await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (503, "later"));
    let answer = scene.ask("h/bare").await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""));
    assert_eq!(scene.backend("a").count(), 0);
    // The text changes with its ConfigMap.
    let text = std::fs::read_to_string(scene.case.file("main"))?;
    scene.case.write("main", &text.replace("response.body: later", "response.body: sooner"))?;
    scene.case.until("the new text", async || Ok(scene.ask("h/map").await?.text() == "sooner")).await
}

/// Envoy takes as much as a ConfigMap has at most, if it is told to.
#[tokio::test]
async fn http_route_filter_long_direct_response() -> Result<()> {
    const MOST: usize = 1 << 20;
    let filters = [("page", 100 << 10), ("whole", MOST), ("more", MOST + 1)].map(|(name, length)| {
        let answer = format!(
            "{{directResponse: {{body: {{type: ValueRef, valueRef: {{group: '', kind: ConfigMap, name: {name}}}}}}}}}"
        );
        let text = "x".repeat(length);
        let map = format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{text: {text}}}\n"
        );
        filter(name, &answer) + &map
    });
    let scene = Scene::start(&["a"], &(by_path(&["page", "whole", "more"]) + &filters.concat())).await?;
    let length = async |url: &str| {
        let answer = scene.ask(url).await?;
        anyhow::Ok((answer.status.as_u16(), answer.text().len()))
    };
    assert_eq!(length("h/page").await?, (200, 100 << 10));
    assert_eq!(length("h/whole").await?, (200, MOST));
    assert_eq!(length("h/more").await?, (500, 0));
    scene.case.condition("HTTPRoute", "r", "ResolvedRefs", "False").await
}

#[tokio::test]
async fn http_route_filter_path_rewrite_by_regular_expression() -> Result<()> {
    let rewrite = |pattern: &str, to: &str| {
        format!(
            "{{urlRewrite: {{path: {{type: ReplaceRegexMatch, replaceRegexMatch: {{pattern: '{pattern}', \
             substitution: '{to}'}}}}}}}}"
        )
    };
    let filters =
        [filter("swap", &rewrite("^/swap/([^/]+)(/.*)$", r"\2/instance/\1")), filter("every", &rewrite("one", "two"))];
    let scene = Scene::start(&["a"], &(by_path(&["swap", "every"]) + &filters.concat())).await?;
    for (url, wanted) in [
        ("h/swap/foo/v1/api", "/v1/api/instance/foo"),
        ("h/swap/foo/v1/api?x=1", "/v1/api/instance/foo?x=1"),
        ("h/swap", "/swap"),
        ("h/every/one/xone?one=1", "/every/two/xtwo?one=1"),
    ] {
        assert_eq!(scene.seen(scene.get(url)).await?.path, wanted, "{url}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_filter_hostname_rewrite() -> Result<()> {
    let filters = [
        filter("header", "{urlRewrite: {hostname: {type: Header, header: x-host}}}"),
        filter(
            "path",
            "{urlRewrite: {hostname: {type: PathRegex, pathRegex: \
             {pattern: '^/path/([a-z]+).*$', substitution: '\\1.example.org'}}}}",
        ),
        filter("backend", "{urlRewrite: {hostname: {type: Backend}}}"),
        filter("forwarded", "{urlRewrite: {appendXForwardedHost: true, hostname: {type: Header, header: x-host}}}"),
    ];
    let named = "---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: named, namespace: default}
spec: {endpoints: [{fqdn: {hostname: localhost, port: ${a}}}]}
";
    let routes = by_path(&["header", "path", "backend", "forwarded"]).replace(
        "name: backend}}]\n    backendRefs: [{name: a, port: 80}]",
        "name: backend}}]\n    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: named}]",
    );
    let scene = Scene::start(&["a"], &(routes + &filters.concat() + named)).await?;
    let host = async |url: &str| anyhow::Ok(scene.seen(scene.get(url).header("x-host", "from.header")).await?.host);
    assert_eq!(host("h.com/header").await?, "from.header");
    assert_eq!(host("h.com/path/abc/d").await?, "abc.example.org");
    assert_eq!(host("h.com/backend").await?, "localhost");
    let seen = scene.seen(scene.get("h.com/forwarded").header("x-host", "from.header")).await?;
    assert_eq!((seen.host.as_str(), seen.header("x-forwarded-host")), ("from.header", Some("h.com")));
    // Without the header the host stays.
    assert_eq!(scene.seen(scene.get("h.com/header")).await?.host, "h.com");
    Ok(())
}

#[tokio::test]
async fn http_route_filter_credential_injection() -> Result<()> {
    let secret = |name: &str, value: &str| {
        let value = BASE64_STANDARD.encode(value);
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\ndata: {{credential: {value}}}\n"
        )
    };
    let injection = |fields: &str, secret: &str| {
        format!("{{credentialInjection: {{{fields}credential: {{valueRef: {{name: {secret}}}}}}}}}")
    };
    let filters = [
        filter("plain", &injection("", "one")),
        filter("over", &injection("header: x-token, overwrite: true, ", "two")),
        filter("under", &injection("header: x-token, ", "two")),
        filter("missing", &injection("", "nowhere")),
        secret("one", "Bearer first"),
        secret("two", "second"),
    ];
    let scene = Scene::start(&["a"], &(by_path(&["plain", "over", "under", "missing"]) + &filters.concat())).await?;
    assert_eq!(scene.seen(scene.get("h/plain")).await?.all("authorization"), ["Bearer first"]);
    assert_eq!(scene.seen(scene.get("h/over").header("x-token", "own")).await?.all("x-token"), ["second"]);
    assert_eq!(scene.seen(scene.get("h/under")).await?.all("x-token"), ["second"]);
    // A filter that cannot do its work fails the request.
    scene.expect(&[("h/missing", "500")]).await?;
    scene.case.condition("HTTPRoute", "r", "ResolvedRefs", "False").await?;
    scene.case.write("late", &secret("nowhere", "Bearer late"))?;
    let injected =
        async || Ok(scene.seen(scene.get("h/missing")).await?.header("authorization") == Some("Bearer late"));
    scene.case.until("the late credential", injected).await
}

#[tokio::test]
async fn http_route_filter_cookie_matches() -> Result<()> {
    let filters = [
        filter(
            "one",
            "{matches: [{cookies: [{name: color, value: blue}]}, {cookies: [{name: size, type: RegularExpression, \
             value: '[0-9]+'}, {name: kind, value: x}]}]}",
        ),
        filter("other", "{directResponse: {statusCode: 418}}"),
    ];
    let rule = |path: &str, filter: &str, name: &str| {
        format!(
            "
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{{type: ExtensionRef, extensionRef: {{group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: {filter}}}}}]
    backendRefs: [{{name: {name}, port: 80}}]"
        )
    };
    let plain = "
  - matches: [{path: {type: PathPrefix, value: /x}}]
    backendRefs: [{name: b, port: 80}]";
    let route = http_route("r", &format!("rules:{}{plain}", rule("/x", "one", "a")));
    let scene = Scene::start(&["a", "b"], &(route + &filters.concat())).await?;
    let cases = [
        ("color=blue", "a"),
        ("other=1; color=blue", "a"),
        ("color=bluer", "b"),
        ("size=12; kind=x", "a"),
        ("size=12", "b"),
        ("size=big; kind=x", "b"),
        ("", "b"),
    ];
    for (cookie, wanted) in cases {
        scene.expect_of(scene.get("h/x").header("cookie", cookie), wanted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_extension_reference_to_nothing_fails_the_request() -> Result<()> {
    let scene = Scene::start(&["a"], &by_path(&["nowhere"])).await?;
    scene.expect(&[("h/nowhere", "500")]).await?;
    scene.case.condition("HTTPRoute", "r", "ResolvedRefs", "False").await?;
    scene.case.write("late", &filter("nowhere", "{directResponse: {statusCode: 204}}"))?;
    scene.until("h/nowhere", "204").await
}
