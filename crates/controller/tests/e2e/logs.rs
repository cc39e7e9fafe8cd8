//! Access logs from Envoy to the exporter: what it counts is what was sent, by route, status and reason.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use http::Method;
use testbed::process::Process;
use testbed::service::{listening, page};

use crate::harness::free_port;
use crate::objects::{USES_PROXY, gateway_with, listener, proxy, service_with};
use crate::scene::{Scene, http_route};

/// Answers that the routes of [`MANIFESTS`] give: host, status, how often it is asked, and why Envoy answers itself.
const REQUESTS: [(&str, &str, u16, u64, &str); 8] = [
    ("ok", "a.org", 200, 20, ""),
    ("teapot", "teapot.org", 418, 4, "direct_response"),
    ("empty", "empty.org", 503, 5, "no_healthy_upstream"),
    ("missing", "missing.org", 500, 2, "direct_response"),
    ("limited", "limited.org", 200, 2, ""),
    ("limited", "limited.org", 429, 6, "local_rate_limited"),
    ("closed", "closed.org", 403, 3, "rbac"),
    ("broken", "broken.org", 555, 7, "fault"),
];
/// How often a host is asked that no route has.
const UNKNOWN: u64 = 9;
/// How often something is posted.
const POSTS: u64 = 2;

fn manifests() -> String {
    let to = |name: &str| format!("rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]");
    let route = |name: &str, host: &str, rules: &str| http_route(name, &format!("hostnames: [{host}]\n  {rules}"));
    let policy = |kind: &str, route: &str, spec: &str| {
        format!(
            "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {route}, namespace: default}}\n\
             spec:\n  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: {route}}}]\n  {spec}\n"
        )
    };
    let teapot = "rules: [{filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, \
                  name: teapot}}]}]";
    let filter = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\n\
                  metadata: {name: teapot, namespace: default}\nspec: {directResponse: {statusCode: 418}}\n";
    let limit = "rateLimit: {type: Local, local: {rules: [{limit: {requests: 2, unit: Hour}}]}}";
    [
        route("ok", "a.org", &to("a")),
        route("teapot", "teapot.org", teapot),
        filter.to_owned(),
        route("empty", "empty.org", &to("empty")),
        service_with("default", "empty", "{name: p, port: 80}", ""),
        route("missing", "missing.org", &to("missing")),
        route("limited", "limited.org", &to("a")),
        policy("BackendTrafficPolicy", "limited", limit),
        route("closed", "closed.org", &to("a")),
        policy("SecurityPolicy", "closed", "authorization: {defaultAction: Deny}"),
        route("broken", "broken.org", &to("a")),
        policy("BackendTrafficPolicy", "broken", "faultInjection: {abort: {httpStatus: 555, percentage: 100}}"),
    ]
    .concat()
}

/// The exporter, and where it listens: for logs, and for people.
async fn exporter(dir: &std::path::Path) -> Result<(Process, String, String)> {
    let (file, program) = (dir.join("exporter.yaml"), testbed::binary::binary("exporter", "portcullis-exporter")?);
    std::fs::write(&file, "grpc: {address: '127.0.0.1:0'}\nadmin: {address: '127.0.0.1:0'}\n")?;
    let mut process = testbed::service::start(&program.display().to_string(), &file, &[])?;
    let admin = listening(&mut process, "admin").await?;
    let grpc = listening(&mut process, "grpc").await?;
    Ok((process, grpc, admin))
}

/// An EnvoyProxy that sends records to the exporter, and the Backend that it is.
fn telemetry(grpc: &str) -> Result<String> {
    let (host, port) = grpc.rsplit_once(':').context("an address has a port")?;
    let to = "backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: exporter}]";
    let sinks = format!("sinks: [{{type: ALS, als: {{type: HTTP, {to}}}}}]");
    let backend = format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {{name: exporter}}\n\
         spec: {{endpoints: [{{ip: {{address: '{host}', port: {port}}}}}]}}\n"
    );
    Ok(proxy(&format!("  telemetry: {{accessLog: {{settings: [{{{sinks}}}]}}}}\n")) + &backend)
}

/// The samples of a metric: labels and value.
fn samples(text: &str, metric: &str) -> Vec<(BTreeMap<String, String>, u64)> {
    let labels = |text: &str| {
        let pairs = text.split("\",").filter_map(|pair| pair.split_once("=\""));
        pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned())).collect()
    };
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{')?.split_once("} "));
    lines.filter_map(|(pairs, value)| Some((labels(pairs), value.parse().ok()?))).collect()
}

/// What is counted of a metric by some of its labels.
fn by(text: &str, metric: &str, names: &[&str]) -> BTreeMap<Vec<String>, u64> {
    let mut sums = BTreeMap::new();
    for (labels, value) in samples(text, metric) {
        let key = names.iter().map(|name| labels.get(*name).cloned().unwrap_or_default()).collect();
        *sums.entry(key).or_default() += value;
    }
    sums
}

async fn send_all(scene: &Scene) -> Result<u64> {
    let mut sent = 0;
    let all = REQUESTS.iter().map(|(_, host, status, times, _)| (*host, *status, *times));
    for (host, status, times) in all.chain([("nobody.org", 404, UNKNOWN)]) {
        for _ in 0..times {
            let answer = scene.ask(&format!("{host}/some/path?x=1")).await?;
            ensure!(answer.status == status, "{host}: {}", answer.status);
            sent += 1;
        }
    }
    for _ in 0..POSTS {
        ensure!(scene.request(Method::POST, "a.org/").body("0123456789").send().await?.status == 200);
        sent += 1;
    }
    Ok(sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporter_counts_what_was_sent() -> Result<()> {
    let dir = tempfile::TempDir::new()?;
    let (_exporter, grpc, admin) = exporter(dir.path()).await?;
    let gateway = gateway_with("gw", &[listener("web", "HTTP", free_port(), "")], USES_PROXY);
    let scene = Scene::with(&gateway, &["a"], &(manifests() + &telemetry(&grpc)?)).await?;
    let sent = send_all(&scene).await?;
    let counted = async || {
        let text = page(&admin, "/metrics").await?;
        Ok(samples(&text, "gateway_requests_total").iter().map(|(_, count)| count).sum::<u64>() >= sent)
    };
    scene.case.until("all requests to be counted", counted).await?;
    let text = page(&admin, "/metrics").await?;

    let word = |text: &str| text.to_owned();
    let mut requests = BTreeMap::from([(vec![word(""), word(""), word("404"), word("GET")], UNKNOWN)]);
    let mut replies = BTreeMap::from([(vec![word(""), word("404"), word("no_route")], UNKNOWN)]);
    for (route, _, status, times, reason) in REQUESTS {
        requests.insert(vec![word("default"), word(route), status.to_string(), word("GET")], times);
        if !reason.is_empty() {
            replies.insert(vec![word(route), status.to_string(), word(reason)], times);
        }
    }
    requests.insert(vec![word("default"), word("ok"), word("200"), word("POST")], POSTS);
    assert_eq!(
        by(&text, "gateway_requests_total", &["route_namespace", "route", "code", "method"]),
        requests,
        "{text}"
    );
    assert_eq!(by(&text, "gateway_local_replies_total", &["route", "code", "reason"]), replies);
    let places = by(&text, "gateway_requests_total", &["gateway", "listener"]);
    assert_eq!(places, BTreeMap::from([(vec![word("default/gw"), word("web")], sent)]), "{text}");
    let backends = by(&text, "gateway_requests_total", &["route", "backend"]);
    assert_eq!(backends[&vec![word("ok"), word("service/default/a/80")]], 20 + POSTS);
    let flags = by(&text, "gateway_requests_total", &["route", "flags"]);
    assert_eq!(flags[&vec![word("empty"), word("UH")]], 5, "{flags:?}");

    // Times are known for all, upstream's only for those that went there.
    let counts = by(&text, "gateway_request_seconds_count", &["route"]);
    assert_eq!(counts.values().sum::<u64>(), sent);
    let upstream = by(&text, "gateway_upstream_seconds_count", &["route"]);
    assert_eq!(upstream, BTreeMap::from([(vec![word("ok")], 20 + POSTS), (vec![word("limited")], 2)]));
    assert_eq!(by(&text, "gateway_request_bytes_sum", &["route"])[&vec![word("ok")]], 10 * POSTS);

    // Nothing was lost on the way.
    let stats = scene.case.envoy("default/gw", "/stats?filter=grpc_access_log").await?;
    assert!(stats.contains(&format!("logs_written: {sent}\n")) && stats.contains("logs_dropped: 0"), "{stats}");
    Ok(())
}
