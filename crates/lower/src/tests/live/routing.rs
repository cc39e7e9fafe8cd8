//! Paths, hosts, redirects, shares.

use std::collections::BTreeMap;

use ir::{
    Action, Forward, Matcher,
    api::gateway::RedirectScheme,
    route::{PathMatch, PathRewrite, Redirect},
};
use testbed::echo::Echo;

use super::Served;
use crate::testing::{
    cluster, forward, gateway, host, http_chain, prefix, route, share, simple, table, tcp_listener, to,
};

#[tokio::test]
async fn paths_are_rewritten_by_elements() {
    let backend = Echo::http().spawn().await.unwrap();
    let by = |name: &str, matched: &str, replacement: &str| {
        let path = Some(PathRewrite::Prefix(replacement.to_owned()));
        to(name, prefix(matched), Forward { path, ..forward("c") })
    };
    let full = Forward { path: Some(PathRewrite::Full("/whole\\1".to_owned())), ..forward("c") };
    let routes = [
        by("a", "/foo", "/xyz"),
        by("b", "/slash", "/xyz/"),
        by("c", "/a.ay", ""),
        by("d", "/gone", "/"),
        to("e", prefix("/full"), full),
        by("f", "", "/all"),
    ];
    let served = Served::new(&simple(routes, vec![cluster("c")]), &[("c", &backend)]).await;
    for (path, expected) in [
        ("/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz"),
        ("/foo/", "/xyz/"),
        ("/foo?a=/foo", "/xyz?a=/foo"),
        ("/slash/bar", "/xyz/bar"),
        ("/a.ay/bar", "/bar"),
        ("/a.ay/", "/"),
        ("/a.ay", "/"),
        ("/a.ay?q", "/?q"),
        ("/axay/b", "/all/axay/b"),
        ("/gone", "/"),
        ("/gone/bar", "/bar"),
        ("/full/bar?q=1", "/whole\\1?q=1"),
        ("/other", "/all/other"),
        ("/foobar", "/all/foobar"),
    ] {
        assert_eq!(served.seen(path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn redirects_go_to_the_right_port() {
    let redirect = |name: &str, path: &str, redirect| route(name, prefix(path), Action::Redirect(redirect));
    let https = Redirect { scheme: Some(RedirectScheme::Https), status: 301, ..Redirect::default() };
    let port = Redirect { port: Some(8443), ..https.clone() };
    let moved = Redirect { path: Some(PathRewrite::Prefix("/new".to_owned())), status: 302, ..Redirect::default() };
    let away = Redirect { path: Some(PathRewrite::Prefix("/".to_owned())), ..moved.clone() };
    let routes = [
        redirect("port", "/port", port),
        redirect("moved", "/moved", moved),
        redirect("away", "/away", away),
        redirect("https", "", https),
    ];
    let served = Served::new(&simple(routes, Vec::new()), &[]).await;
    let location = async |host: &str, path: &str| {
        let answer = served.get(host, path).send().await.unwrap();
        answer.header("location").unwrap().to_owned()
    };
    assert_eq!(location("a.example", "/x?q=1").await, "https://a.example/x?q=1");
    assert_eq!(location("a.example:8080", "/x").await, "https://a.example:443/x");
    assert_eq!(location("a.example:8080", "/port").await, "https://a.example:8443/port");
    assert_eq!(location("a.example", "/moved/x?q=1").await, "http://a.example/new/x?q=1");
    assert_eq!(location("a.example", "/away").await, "http://a.example/");
    assert_eq!(location("a.example", "/away/x").await, "http://a.example/x");
}

#[tokio::test]
async fn shares_that_do_not_resolve_are_answered_with_500() {
    let backend = Echo::http().spawn().await.unwrap();
    let half = Forward { clusters: vec![share("c", 1), share("", 1)], ..Forward::default() };
    let none = Forward { clusters: vec![share("", 1)], ..Forward::default() };
    let routes = [to("half", prefix("/half"), half), to("none", prefix("/none"), none)];
    let served = Served::new(&simple(routes, vec![cluster("c")]), &[("c", &backend)]).await;
    assert_eq!(served.status("/none").await, 500);
    assert_eq!(served.status("/nowhere").await, 404);
    let mut counts = BTreeMap::new();
    for _ in 0..100 {
        *counts.entry(served.status("/half").await).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&200, &500], "{counts:?}");
}

#[tokio::test]
async fn hosts_are_told_apart() {
    let backend = Echo::http().spawn().await.unwrap();
    let misdirected = ir::VirtualHost { domain: "other.example".into(), routes: Vec::new(), misdirected: true };
    let hosts = [host("a.example", [to("r", prefix(""), forward("c"))]), misdirected];
    let listener = tcp_listener(80, vec![http_chain("http", table("http-80", hosts))]);
    let served = Served::new(&gateway(vec![listener], vec![cluster("c")]), &[("c", &backend)]).await;
    for (name, status) in [
        ("a.example", 200),
        ("a.example:8080", 200),
        ("A.Example", 200),
        ("a.example.", 200),
        ("other.example", 421),
        ("b.example", 404),
    ] {
        assert_eq!(served.get(name, "/").send().await.unwrap().status.as_u16(), status, "{name}");
    }
    // Paths mean one thing; headers that look like others do not pass.
    for (path, status) in [("/a/../b", 200), ("//b", 200), ("/a%2Fb", 307)] {
        assert_eq!(served.status(path).await, status, "{path}");
    }
    assert_eq!(served.seen("/a/../b//c").await, "/b/c");
    assert_eq!(served.get("a.example", "/").header("x_user", "root").send().await.unwrap().status.as_u16(), 400);
    let spoofed =
        served.get("a.example", "/").header("x-envoy-original-path", "/x").header("x-forwarded-for", "6.6.6.6");
    let seen = spoofed.send().await.unwrap().echoed().unwrap();
    assert_eq!(seen.header("x-envoy-original-path"), None);
    // The client's own word is kept, and what Envoy saw stands after it.
    assert_ne!(seen.header("x-forwarded-for").and_then(|hops| hops.strip_prefix("6.6.6.6,")), None);
}

#[tokio::test]
async fn long_lists_are_trees_with_the_same_meaning() {
    let backend = Echo::http().spawn().await.unwrap();
    let named = |name: String, matcher: Matcher| {
        let to_name = Forward { path: Some(PathRewrite::Full(format!("/{name}"))), ..forward("c") };
        to(&name, matcher, to_name)
    };
    let by = |path| Matcher { path, ..Matcher::default() };
    let mut routes = vec![named("regex".to_owned(), by(PathMatch::Regex("/p/1[0-9]7/x".to_owned())))];
    routes
        .extend((0..300).map(|number| named(format!("exact-{number}"), by(PathMatch::Exact(format!("/p/{number}"))))));
    routes.extend((0..300).map(|number| named(format!("prefix-{number}"), prefix(&format!("/p/{number}")))));
    routes.push(named("p".to_owned(), prefix("/p")));
    routes.push(named("root".to_owned(), prefix("")));
    let gateway = simple(routes, vec![cluster("c")]);
    let lowered = crate::lower(&gateway, &crate::Settings::default(), &mut crate::Memo::default());
    let table = crate::testing::json(&lowered, envoy::type_url::ROUTE, "http-80");
    assert!(table["virtual_hosts"][0]["matcher"].is_object());
    let served = Served::new(&gateway, &[("c", &backend)]).await;
    for (path, expected) in [
        ("/p/7", "/exact-7"),
        ("/p/7?x=/p/8", "/exact-7?x=/p/8"),
        ("/p/7/", "/prefix-7"),
        ("/p/299/x/y", "/prefix-299"),
        ("/p/107/x", "/regex"),
        ("/p/107/y", "/prefix-107"),
        ("/p/300", "/p"),
        ("/p/7x", "/p"),
        ("/p", "/p"),
        ("/px", "/root"),
        ("/", "/root"),
    ] {
        assert_eq!(served.seen(path).await, expected, "{path}");
    }
}
