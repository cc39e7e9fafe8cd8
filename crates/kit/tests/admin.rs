//! The admin port over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::fs::PermissionsExt;

use axum::Router;
use axum::routing::get;
use kit::admin::Part;
use kit::http_client::{Answer, Client, Settings};
use kit::net::Address;
use kit::redact::Redacted;
use kit::{ADMIN, Kit, testing};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start(part: Part) -> (Kit, Client, String) {
    let kit = testing::kit();
    let address = kit.admin.listen(&"127.0.0.1:0".parse().unwrap(), ADMIN, part).await.unwrap();
    (kit, Client::new("test", &Settings::default()).unwrap(), format!("http://{address}"))
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn readiness_names_the_closed_gates() {
    let (kit, client, url) = start(Part::All).await;
    let (xds, config) = (kit.gates.gate("xds"), kit.gates.gate("config"));
    config.open();
    xds.close("no Envoy yet");
    let answer = client.get(&format!("{url}/readyz")).await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(
        json(&answer),
        serde_json::json!({"ready": false, "gates": {
            "config": {"state": "open"},
            "xds": {"state": "closed", "reason": "no Envoy yet"},
        }})
    );
    assert_eq!(client.get(&format!("{url}/livez")).await.unwrap().status, 200);
    xds.open();
    let answer = client.get(&format!("{url}/readyz")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &json(&answer)["ready"]), (200, &true.into()));
}

#[tokio::test]
async fn config_hides_secrets_and_metrics_are_text() {
    let (kit, client, url) = start(Part::All).await;
    kit.admin.show_config(|| serde_json::json!({"redis": Redacted::new("secret"), "limit": 3}));
    let config = client.get(&format!("{url}/config")).await.unwrap();
    assert_eq!(json(&config), serde_json::json!({"redis": "***", "limit": 3}));
    let metrics = client.get(&format!("{url}/metrics")).await.unwrap();
    assert_eq!(metrics.headers["content-type"], kit::metrics::TEXT);
    assert!(String::from_utf8_lossy(&metrics.body).contains("process_resident_memory_bytes"));
}

#[tokio::test]
async fn log_levels_are_changed_and_bad_ones_refused() {
    let (kit, client, url) = start(Part::All).await;
    let put = |text: &'static str| client.send(client.request(Method::PUT, &format!("{url}/log")).body(text));
    let answer = put("warn,xds=debug").await.unwrap();
    assert_eq!(json(&answer), serde_json::json!({"level": "warn,xds=debug"}));
    assert_eq!(kit.log.levels().to_string(), "warn,xds=debug");
    let bad = put("loud").await.unwrap();
    assert_eq!(bad.status, 400);
    assert!(String::from_utf8_lossy(&bad.body).contains("allowed: off, error, warn, info, debug, trace"));
    assert_eq!(json(&client.get(&format!("{url}/log")).await.unwrap())["level"], "warn,xds=debug");
}

#[tokio::test]
async fn a_service_adds_routes_while_the_port_is_up() {
    let (kit, client, url) = start(Part::All).await;
    assert_eq!(client.get(&format!("{url}/api/routes")).await.unwrap().status, 404);
    kit.admin.add_routes(Router::new().route("/api/routes", get(|| async { "none" })));
    kit.admin.add_routes(Router::new().route("/", get(|| async { "page" })));
    assert_eq!(client.get(&format!("{url}/api/routes")).await.unwrap().body, "none");
    assert_eq!(client.get(&format!("{url}/")).await.unwrap().body, "page");
    assert_eq!(client.get(&format!("{url}/livez")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_part_serves_its_part_only() {
    let (_kit, client, url) = start(Part::Metrics).await;
    assert_eq!(client.get(&format!("{url}/metrics")).await.unwrap().status, 200);
    assert_eq!(client.get(&format!("{url}/config")).await.unwrap().status, 404);
    let (kit, client, url) = start(Part::Health).await;
    assert_eq!(client.get(&format!("{url}/readyz")).await.unwrap().status, 503, "without gates nothing has started");
    kit.gates.gate("test").open();
    assert_eq!(client.get(&format!("{url}/readyz")).await.unwrap().status, 200);
    assert_eq!(client.get(&format!("{url}/metrics")).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner_and_goes_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let kit = testing::kit();
    kit.admin.listen(&Address::Unix(path.clone()), ADMIN, Part::All).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    kit.shutdown.force();
    testing::eventually("the socket is removed", async || (!path.exists()).then_some(())).await;
}

#[tokio::test]
async fn a_busy_port_says_how_to_choose_another() {
    let (kit, _, url) = start(Part::All).await;
    let address = url.trim_start_matches("http://").parse().unwrap();
    let error = kit.admin.listen(&address, ADMIN, Part::All).await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("--admin-addr"), "{error}");
}
