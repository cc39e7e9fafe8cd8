//! Access logs from Envoy to the exporter: what it counts is what was sent, by route, status and reason.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use http::Method;
use testbed::process::Process;
use testbed::service::{listening, page};

use crate::harness::{free_port, local};
use crate::objects::{USES_PROXY, gateway_with, listener, proxy, service, service_with};
use crate::scene::{Scene, http_route};

/// Answers that the routes of [`manifests`] give: route, status, how often it is asked, and why Envoy answers itself.
const REQUESTS: [(&str, u16, u64, &str); 7] = [
    ("ok", 200, 20, ""),
    ("teapot", 418, 4, "direct_response"),
    ("empty", 503, 5, "no_healthy_upstream"),
    ("missing", 500, 2, "direct_response"),
    ("refused", 503, 6, "upstream_reset"),
    ("slow", 504, 1, "upstream_timeout"),
    ("limited", 429, 3, "rate_limited"),
];
/// How often a host is asked that no route has.
const UNKNOWN: u64 = 9;
/// How often something is posted.
const POSTS: u64 = 2;

fn manifests(nobody: SocketAddr) -> String {
    let to = |name: &str| format!("rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]");
    let route = |name: &str, rules: &str| http_route(name, &format!("hostnames: [{name}.org]\n  {rules}"));
    let teapot = "rules: [{filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, \
                  name: teapot}}]}]";
    let slow = "rules: [{timeouts: {request: 200ms}, backendRefs: [{name: a, port: 80}]}]";
    let filter = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\n\
                  metadata: {name: teapot, namespace: default}\nspec: {directResponse: {statusCode: 418}}\n";
    let limit = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\n\
                 metadata: {name: limited, namespace: default}\nspec:\n  \
                 targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: limited}]\n  \
                 rateLimit: {type: Global, global: {rules: [{limit: {requests: 1, unit: Year}}]}}\n";
    [
        route("ok", &to("a")),
        route("teapot", teapot),
        filter.to_owned(),
        route("empty", &to("empty")),
        service_with("default", "empty", "{name: p, port: 80}", ""),
        route("missing", &to("missing")),
        route("refused", &to("refused")),
        service("default", "refused", &[nobody]),
        route("slow", slow),
        route("limited", &to("a")),
        limit.to_owned(),
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

/// How many requests are counted.
fn total(text: &str) -> u64 {
    samples(text, "gateway_requests_total").iter().map(|(_, count)| count).sum()
}

/// What is counted when nothing is on its way any more: the text, once it has so many requests, and as many as Envoy has told.
async fn settled(scene: &Scene, admin: &str, least: u64) -> Result<String> {
    let mut text = String::new();
    let all_counted = async || {
        let stats = scene.case.envoy("default/gw", "/stats?filter=logs_written").await?;
        let written = stats.trim().rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
        text = page(admin, "/metrics").await?;
        let counted = total(&text);
        Ok(counted >= least && written == Some(counted))
    };
    scene.case.until("all requests to be counted", all_counted).await?;
    Ok(text)
}

/// What was counted since, by these labels.
fn more(before: &str, after: &str, metric: &str, names: &[&str]) -> BTreeMap<Vec<String>, u64> {
    let then = by(before, metric, names);
    let more = by(after, metric, names).into_iter().map(|(key, count)| {
        let before = then.get(&key).copied().unwrap_or_default();
        (key, count - before)
    });
    more.filter(|(_, count)| *count > 0).collect()
}

async fn send_all(scene: &Scene) -> Result<u64> {
    let mut sent = 0;
    let all = REQUESTS.iter().map(|(route, status, times, _)| (*route, *status, *times));
    for (route, status, times) in all.chain([("nobody", 404, UNKNOWN)]) {
        for _ in 0..times {
            let path = if route == "slow" { "delay=5s" } else { "x=1" };
            let answer = scene.ask(&format!("{route}.org/some/path?{path}")).await?;
            ensure!(answer.status == status, "{route}: {}", answer.status);
            sent += 1;
        }
    }
    for _ in 0..POSTS {
        ensure!(scene.request(Method::POST, "ok.org/").body("0123456789").send().await?.status == 200);
        sent += 1;
    }
    Ok(sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exporter_counts_what_was_sent() -> Result<()> {
    let dir = tempfile::TempDir::new()?;
    let (_exporter, grpc, admin) = exporter(dir.path()).await?;
    let (limits, nobody) = (free_port(), local(free_port()));
    let config =
        format!("rateLimit: {{service: {{host: 127.0.0.1, port: {limits}}}, timeout: 5s, failClosed: true}}\n");
    let gateway = gateway_with("gw", &[listener("web", "HTTP", free_port(), "")], USES_PROXY);
    let scene = Scene::configured(&config, &gateway, &["a"], &(manifests(nobody) + &telemetry(&grpc)?)).await?;
    let _limits = crate::limits::service(&scene.case, limits)?;
    scene.until("limited.org", "429").await?;
    let before = settled(&scene, &admin, 1).await?;
    let sent = send_all(&scene).await?;
    let after = settled(&scene, &admin, total(&before) + sent).await?;
    let more = |metric: &str, names: &[&str]| more(&before, &after, metric, names);

    let word = |text: &str| text.to_owned();
    let mut requests = BTreeMap::from([(vec![word(""), word(""), word("404"), word("GET")], UNKNOWN)]);
    let mut replies = BTreeMap::from([(vec![word(""), word("404"), word("no_route")], UNKNOWN)]);
    for (route, status, times, reason) in REQUESTS {
        requests.insert(vec![word("default"), word(route), status.to_string(), word("GET")], times);
        if !reason.is_empty() {
            replies.insert(vec![word(route), status.to_string(), word(reason)], times);
        }
    }
    requests.insert(vec![word("default"), word("ok"), word("200"), word("POST")], POSTS);
    assert_eq!(more("gateway_requests_total", &["route_namespace", "route", "code", "method"]), requests, "{after}");
    assert_eq!(more("gateway_local_replies_total", &["route", "code", "reason"]), replies, "{after}");
    let places = more("gateway_requests_total", &["gateway", "listener"]);
    let here = vec![word("default/gw"), format!("http-{}", scene.port)];
    assert_eq!(places, BTreeMap::from([(here, sent)]), "{after}");
    let backends = more("gateway_requests_total", &["route", "backend"]);
    assert_eq!(backends[&vec![word("ok"), word("service/default/a/80")]], 20 + POSTS);
    let flags = more("gateway_requests_total", &["route", "flags"]);
    assert_eq!(
        (flags[&vec![word("empty"), word("UH")]], flags[&vec![word("refused"), word("UF")]]),
        (5, 6),
        "{flags:?}"
    );

    // Times are known for all.
    assert_eq!(more("gateway_request_seconds_count", &["route"]).values().sum::<u64>(), sent);
    assert_eq!(more("gateway_upstream_seconds_count", &["route"])[&vec![word("ok")]], 20 + POSTS);
    assert_eq!(more("gateway_request_bytes_sum", &["route"])[&vec![word("ok")]], 10 * POSTS);
    // Nothing was lost on the way: as many were counted as Envoy has told.
    let stats = scene.case.envoy("default/gw", "/stats?filter=logs_dropped").await?;
    assert!(stats.contains("logs_dropped: 0"), "{stats}");
    Ok(())
}
