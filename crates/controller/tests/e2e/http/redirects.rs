//! Redirects: scheme, host, port, path and status.

use anyhow::Result;

use crate::harness::free_port;
use crate::objects::{gateway, listener};
use crate::scene::{Scene, http_route};

/// A route with a rule for each path, which redirects so.
fn redirects(rules: &[(&str, &str)]) -> String {
    let rules: String = rules
        .iter()
        .map(|(path, redirect)| {
            format!(
                "
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]"
            )
        })
        .collect();
    http_route("r", &format!("rules:{rules}"))
}

/// Asks each URL; wants this status and location, in both of which `${PORT}` is the listener's.
async fn expect(scene: &Scene, cases: &[(&str, u16, &str)]) -> Result<()> {
    for (url, status, location) in cases {
        let own_port = |text: &str| text.replace("${PORT}", &scene.port.to_string());
        let answer = scene.ask(&own_port(url)).await?;
        let found = answer.header("location").map(without_usual_port);
        assert_eq!((answer.status.as_u16(), found), (*status, Some(own_port(location))), "{url}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_redirect_to_the_scheme_s_own_port_names_none() -> Result<()> {
    let route =
        redirects(&[("/own", "hostname: example.org, port: 80"), ("/other", "hostname: example.org, port: 443")]);
    let scene = Scene::start(&[], &route).await?;
    for (url, location) in [("h.com/own", "http://example.org/own"), ("h.com/other", "http://example.org:443/other")] {
        assert_eq!(scene.ask(url).await?.header("location"), Some(location), "{url}");
    }
    Ok(())
}

/// A port that the scheme has anyway may be said or not.
fn without_usual_port(location: &str) -> String {
    let port = if location.starts_with("https:") { ":443/" } else { ":80/" };
    location.replacen(port, "/", 1)
}

#[tokio::test]
async fn http_route_redirect_host_and_status() -> Result<()> {
    let route = redirects(&[
        ("/host", "hostname: example.org"),
        ("/both", "hostname: example.org, statusCode: 301"),
        ("/found", "statusCode: 302, hostname: found.example.org"),
    ]);
    let scene = Scene::start(&[], &route).await?;
    // Without a scheme the port is the listener's.
    let cases = [
        ("h.com/host", 302, "http://example.org:${PORT}/host"),
        ("h.com/host/deep?x=1", 302, "http://example.org:${PORT}/host/deep?x=1"),
        ("h.com/both", 301, "http://example.org:${PORT}/both"),
        ("h.com/found", 302, "http://found.example.org:${PORT}/found"),
    ];
    expect(&scene, &cases).await
}

#[tokio::test]
async fn http_route_redirect_scheme() -> Result<()> {
    let route = redirects(&[
        ("/https", "scheme: https"),
        ("/http", "scheme: http"),
        ("/all", "scheme: https, hostname: example.org, port: 8443, statusCode: 301"),
    ]);
    let scene = Scene::start(&[], &route).await?;
    // With a scheme and no port, the port is the scheme's own.
    let cases = [
        ("h.com/https", 302, "https://h.com/https"),
        ("h.com:1234/https", 302, "https://h.com/https"),
        ("h.com/http", 302, "http://h.com/http"),
        ("h.com/all", 301, "https://example.org:8443/all"),
    ];
    expect(&scene, &cases).await
}

#[tokio::test]
async fn http_route_redirect_port() -> Result<()> {
    let route = redirects(&[
        ("/port", "port: 8083"),
        ("/port-and-host", "hostname: example.org, port: 8083"),
        ("/port-and-host-and-status", "hostname: example.org, port: 8083, statusCode: 302"),
        ("/eighty", "port: 80"),
        ("/https-443", "scheme: https, port: 443"),
        ("/http-443", "scheme: http, port: 443"),
    ]);
    let scene = Scene::start(&[], &route).await?;
    // HTTPRouteRedirectPortAndScheme
    let cases = [
        ("h.com/port", 302, "http://h.com:8083/port"),
        ("h.com/port-and-host", 302, "http://example.org:8083/port-and-host"),
        ("h.com/port-and-host-and-status", 302, "http://example.org:8083/port-and-host-and-status"),
        ("h.com/eighty", 302, "http://h.com/eighty"),
        ("h.com/https-443", 302, "https://h.com/https-443"),
        ("h.com/http-443", 302, "http://h.com:443/http-443"),
    ];
    expect(&scene, &cases).await
}

#[tokio::test]
async fn http_route_redirect_path() -> Result<()> {
    let prefix = "path: {type: ReplacePrefixMatch, replacePrefixMatch";
    let route = redirects(&[
        ("/original-prefix", &format!("{prefix}: /replacement-prefix}}")),
        ("/full", "path: {type: ReplaceFullPath, replaceFullPath: /full-path-replacement}"),
        ("/path-and-host", &format!("hostname: example.org, {prefix}: /replacement-prefix}}")),
        ("/path-and-status", &format!("{prefix}: /replacement-prefix}}, statusCode: 301")),
        ("/full-path-and-host", "hostname: example.org, path: {type: ReplaceFullPath, replaceFullPath: /replacement}"),
        ("/to-root", &format!("{prefix}: /}}")),
    ]);
    let scene = Scene::start(&[], &route).await?;
    // A client names the port that it asks, and is sent to the same.
    let cases = [
        ("h.com:${PORT}/original-prefix/lemon", 302, "http://h.com:${PORT}/replacement-prefix/lemon"),
        ("h.com:${PORT}/original-prefix", 302, "http://h.com:${PORT}/replacement-prefix"),
        ("h.com:${PORT}/original-prefix/lemon?a=b", 302, "http://h.com:${PORT}/replacement-prefix/lemon?a=b"),
        ("h.com:${PORT}/full/path/original", 302, "http://h.com:${PORT}/full-path-replacement"),
        ("h.com:${PORT}/path-and-host/lemon", 302, "http://example.org:${PORT}/replacement-prefix/lemon"),
        ("h.com:${PORT}/path-and-status/lemon", 301, "http://h.com:${PORT}/replacement-prefix/lemon"),
        ("h.com:${PORT}/full-path-and-host/lemon", 302, "http://example.org:${PORT}/replacement"),
        ("h.com:${PORT}/to-root", 302, "http://h.com:${PORT}/"),
        ("h.com:${PORT}/to-root/lemon", 302, "http://h.com:${PORT}/lemon"),
    ];
    expect(&scene, &cases).await
}

async fn status(code: u16) -> Result<()> {
    let scene = Scene::start(&[], &redirects(&[("/", &format!("hostname: example.org, statusCode: {code}"))])).await?;
    expect(&scene, &[("h.com/x", code, "http://example.org:${PORT}/x")]).await
}

#[tokio::test]
async fn http_route_303_redirect() -> Result<()> {
    status(303).await
}

#[tokio::test]
async fn http_route_307_redirect() -> Result<()> {
    status(307).await
}

#[tokio::test]
async fn http_route_308_redirect() -> Result<()> {
    status(308).await
}

#[tokio::test]
async fn http_route_redirects_of_one_route_on_two_listeners() -> Result<()> {
    let (one, two) = (free_port(), free_port());
    let listeners = [listener("one", "HTTP", one, ""), listener("two", "HTTP", two, "")];
    let scene = Scene::with(&gateway(&listeners), &[], &redirects(&[("/", "hostname: example.org")])).await?;
    expect(&scene, &[("h.com/x", 302, "http://example.org:${PORT}/x")]).await?;
    let answer = scene.get("h.com/x").to(crate::harness::local(two)).send().await?;
    assert_eq!(answer.header("location"), Some(format!("http://example.org:{two}/x").as_str()));
    Ok(())
}
