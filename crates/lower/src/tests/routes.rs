//! Matching, rewriting, redirecting.

use std::{sync::Arc, time::Duration};

use envoy::type_url;
use ir::{
    Action, Features, Forward, Matcher,
    api::gateway::RedirectScheme,
    route::{HeaderMutation, HostRewrite, Mirror, PathMatch, PathRewrite, Redirect, Respond, Retry, ValueMatch},
};
use serde_json::Value;

use crate::testing::{accepted, cluster, forward, json, prefix, route, share, simple, to};

fn table(routes: Vec<ir::Route>) -> Value {
    let clusters = vec![cluster("c"), cluster("d")];
    let mut table = json(&accepted(&simple(routes, clusters)), type_url::ROUTE, "http-80");
    table["virtual_hosts"][0]["routes"].take()
}

fn path(path: PathMatch) -> Matcher {
    Matcher { path, ..Matcher::default() }
}

#[test]
fn what_is_matched() {
    let exact = |name: &str| (name.to_owned(), ValueMatch::Exact("v".to_owned()));
    let regex = |name: &str| (name.to_owned(), ValueMatch::Regex("v.*".to_owned()));
    let all = Matcher {
        path: PathMatch::Exact("/exact".to_owned()),
        method: Some("GET".to_owned()),
        headers: vec![exact("x-one"), regex("x-two")],
        query: vec![exact("one"), regex("two")],
        cookies: vec![exact("one"), regex("two")],
    };
    insta::assert_yaml_snapshot!(table(vec![
        to("all", all, forward("c")),
        to("regex", path(PathMatch::Regex("/r/[0-9]+".to_owned())), forward("c")),
        to("prefix", prefix("/p"), forward("c")),
        to("root", prefix(""), forward("c")),
    ]));
}

#[test]
fn where_requests_go() {
    let mutation = HeaderMutation {
        set: vec![("x-set".to_owned(), "100%".to_owned())],
        add: vec![("x-add".to_owned(), String::new())],
        remove: vec!["x-remove".to_owned()],
    };
    let mut changed = share("d", 3);
    changed.request_headers = mutation.clone();
    changed.response_headers = mutation.clone();
    let weighted =
        Forward { clusters: vec![share("c", 1), changed, share("", 2), share("c", 0)], ..Forward::default() };
    let tuned = Forward {
        timeout: Some(Duration::from_millis(1500)),
        try_timeout: Some(Duration::from_millis(500)),
        retry: Some(Retry { attempts: 3, backoff: Some(Duration::from_millis(100)), codes: vec![502, 503] }),
        mirrors: vec![
            Mirror { cluster: "d".into(), millionths: 1_000_000 },
            Mirror { cluster: "d".into(), millionths: 250_000 },
        ],
        ..forward("c")
    };
    let nowhere = Forward { clusters: vec![share("", 1)], ..Forward::default() };
    let mut headers = to("headers", prefix("/headers"), forward("c"));
    headers.features =
        Arc::new(Features { request_headers: mutation.clone(), response_headers: mutation, ..Features::default() });
    insta::assert_yaml_snapshot!(
        "where_requests_go",
        table(vec![
            to("weighted", prefix("/weighted"), weighted),
            to("tuned", prefix("/tuned"), tuned),
            to("nowhere", prefix("/nowhere"), nowhere),
        ])
    );
    insta::assert_yaml_snapshot!("headers_are_changed", table(vec![headers]));
}

#[test]
fn how_paths_and_hosts_change() {
    let rewritten = |name: &str, matcher: Matcher, path: Option<PathRewrite>, host: Option<HostRewrite>| {
        to(name, matcher, Forward { path, host, append_forwarded_host: true, ..forward("c") })
    };
    let by = |replacement: &str| Some(PathRewrite::Prefix(replacement.to_owned()));
    let regex = || ("^/a/(.*)$".to_owned(), "\\1.example".to_owned());
    let (pattern, substitution) = regex();
    let by_regex = PathRewrite::Regex { pattern, substitution };
    let (pattern, substitution) = regex();
    let host_by_regex = HostRewrite::PathRegex { pattern, substitution };
    insta::assert_yaml_snapshot!(table(vec![
        rewritten("prefix", prefix("/old"), by("/new/"), None),
        rewritten("prefix-away", prefix("/o.d"), by("/"), None),
        rewritten("root", prefix(""), by("/new"), None),
        rewritten("nothing", prefix(""), by(""), None),
        rewritten("full", prefix("/old"), Some(PathRewrite::Full("/a\\1b".to_owned())), None),
        rewritten("regex", prefix("/a"), Some(by_regex), None),
        rewritten("host", prefix("/h1"), None, Some(HostRewrite::Name("other.example".to_owned()))),
        rewritten("host-header", prefix("/h2"), None, Some(HostRewrite::Header("x-host".to_owned()))),
        rewritten("host-endpoint", prefix("/h3"), None, Some(HostRewrite::Endpoint)),
        rewritten("host-regex", prefix("/h4"), None, Some(host_by_regex)),
    ]));
}

#[test]
fn redirects_and_answers() {
    let redirect = |name: &str, redirect: Redirect| route(name, prefix("/old"), Action::Redirect(redirect));
    let https = Redirect { scheme: Some(RedirectScheme::Https), status: 301, ..Redirect::default() };
    let full = Redirect {
        hostname: Some("other.example".to_owned()),
        port: Some(8443),
        path: Some(PathRewrite::Full("/new".to_owned())),
        status: 308,
        ..https.clone()
    };
    let with_path = |path| Redirect { path: Some(PathRewrite::Prefix(path)), status: 302, ..Redirect::default() };
    let respond = Respond {
        status: 503,
        body: Some(Arc::from(b"busy".as_slice())),
        headers: HeaderMutation { set: vec![("retry-after".to_owned(), "10".to_owned())], ..HeaderMutation::default() },
        content_type: Some("text/plain".to_owned()),
    };
    let empty = Respond { status: 404, body: None, headers: HeaderMutation::default(), content_type: None };
    insta::assert_yaml_snapshot!(table(vec![
        redirect("https", https),
        redirect("full", full),
        redirect("prefix", with_path("/new".to_owned())),
        redirect("prefix-away", with_path("/".to_owned())),
        route("respond", prefix(""), Action::Respond(respond)),
        route("empty", prefix(""), Action::Respond(empty)),
    ]));
}

#[test]
fn promises_only_where_a_service_watches_them() {
    let mut promising = to("r", prefix(""), forward("c"));
    let said = Some("99.9% availability".to_owned());
    promising.source = Arc::new(ir::Source { objectives: said, ..(*promising.source).clone() });
    let gateway = simple([promising, to("s", prefix("/s"), forward("c"))], vec![cluster("c")]);
    assert!(!json(&accepted(&gateway), type_url::ROUTE, "http-80").to_string().contains("availability"));
    let settings =
        serde_json::json!({"accessLog": {"settings": [{"sinks": [{"type": "ALS", "als": {"type": "HTTP"}}]}]}});
    let telemetry = serde_json::from_value(settings).unwrap();
    let proxy = ir::api::ext::EnvoyProxySpec { telemetry, ..Default::default() };
    let gateway = ir::Gateway { proxy: Arc::new(proxy), ..gateway };
    let table = json(&accepted(&gateway), type_url::ROUTE, "http-80");
    let routes = table["virtual_hosts"][0]["routes"].as_array().unwrap();
    let metadata: Vec<_> = routes.iter().map(|route| &route["metadata"]).filter(|found| !found.is_null()).collect();
    assert_eq!(metadata, [&serde_json::json!({"filter_metadata": {"portcullis": {"slo": "99.9% availability"}}})]);
}

#[test]
fn metadata_only_where_somebody_reads_it() {
    let gateway = simple([to("r", prefix(""), forward("c"))], vec![cluster("c")]);
    assert!(!json(&accepted(&gateway), type_url::ROUTE, "http-80").to_string().contains("envoy-gateway"));
    let settings = serde_json::json!({"accessLog": {"settings": [{
        "format": {"text": "%METADATA(ROUTE:envoy-gateway:resources)%"}, "sinks": [{"type": "File", "file": {}}]}]}});
    let telemetry = serde_json::from_value(settings).unwrap();
    let proxy = ir::api::ext::EnvoyProxySpec { telemetry, ..Default::default() };
    let gateway = ir::Gateway { proxy: Arc::new(proxy), ..gateway };
    let table = json(&accepted(&gateway), type_url::ROUTE, "http-80");
    let metadata = &table["virtual_hosts"][0]["routes"][0]["metadata"]["filter_metadata"]["envoy-gateway"];
    assert_eq!(
        *metadata,
        serde_json::json!({"resources": [{"kind": "HTTPRoute", "namespace": "default", "name": "r"}]})
    );
}
