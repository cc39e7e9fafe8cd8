//! Streams of entries: many at once, by TLS, by a socket, and what comes of them.

use kit::testing::Authority;
use kit::tls::ClientSettings;
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::Request;
use tokio_stream::iter;

use crate::house::{Service, entry, message, requests};

#[tokio::test]
async fn many_envoys_at_once_are_counted_exactly() {
    let service = Service::start("").await;
    let send = |code: u32| {
        let mut client = service.client(None);
        let messages = (0..50).map(move |_| message(vec![entry(code, "via_upstream"); 20]));
        async move { client.stream_access_logs(iter(messages)).await.unwrap() }
    };
    tokio::join!(send(200), send(200), send(503), send(404));
    for (code, wanted) in [(200, 2000.0), (503, 1000.0), (404, 1000.0)] {
        assert_eq!(service.metric(&requests(code)).await, wanted, "{code}");
    }
    assert_eq!(service.metric(r#"exporter_entries_total{kind="request"}"#).await, 4000.0);
    service.reaches("exporter_streams", 0.0).await;
    assert_eq!(service.metric(r#"exporter_series{metric="gateway_requests_total"}"#).await, 3.0);
}

#[tokio::test]
async fn a_full_disk_costs_events_and_nothing_else() {
    let service = Service::start("events: {file: {path: /dev/full}}\n").await;
    let stream = service.stream();
    for sent in [1.0, 2.0] {
        stream.send(message(vec![entry(429, "request_rate_limited")])).await.unwrap();
        service.reaches(r#"exporter_dropped_events_total{sink="file"}"#, sent).await;
    }
    assert_eq!(service.metric(r#"exporter_events_total{event="rate_limited"}"#).await, 2.0);
    assert_eq!(service.metric(&requests(429)).await, 2.0);
}

#[tokio::test]
async fn every_form_of_metrics_is_served_as_it_is_asked_for() {
    let service = Service::start("metrics: '127.0.0.1:0'\n").await;
    service.stream().send(message(vec![entry(200, "via_upstream")])).await.unwrap();
    service.reaches(&requests(200), 1.0).await;
    for (accept, wanted) in [
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", "application/openmetrics-text"),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", "application/vnd.google.protobuf"),
    ] {
        let request = Request::get(&format!("http://{}/metrics", service.admin)).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert!(answer.header("content-type").unwrap().starts_with(wanted), "{accept}");
        assert!(answer.text().contains("gateway_request_seconds"), "{accept}");
    }
}

#[tokio::test]
async fn only_envoys_with_a_certificate_are_let_in_where_one_is_asked_for() {
    let dir = tempfile::TempDir::with_prefix("exp-").unwrap();
    let authority = Authority::new("house");
    authority.write(&dir.path().join("ca.crt"));
    authority.issue(dir.path(), "server", &["localhost", "127.0.0.1"]);
    let files = authority.issue(dir.path(), "envoy", &["spiffe://portcullis/fleet/edge/eg"]);
    let ca = dir.path().join("ca.crt");
    let settings =
        "grpc: {address: '127.0.0.1:0', tls: {cert: DIR/server.crt, key: DIR/server.key, clientCa: DIR/ca.crt}}\n";
    let service = Service::start_in(dir, settings).await;
    let known = ClientSettings {
        ca: ca.clone(),
        cert: Some(files.cert),
        key: Some(files.key),
        allowed_servers: Default::default(),
    };
    let sent = || iter([message(vec![entry(200, "via_upstream")])]);
    service.client(Some(&known)).stream_access_logs(sent()).await.unwrap();
    assert_eq!(service.metric(&requests(200)).await, 1.0);
    let unknown = ClientSettings { ca, cert: None, key: None, allowed_servers: Default::default() };
    assert!(service.client(Some(&unknown)).stream_access_logs(sent()).await.is_err());
    assert!(service.client(None).stream_access_logs(sent()).await.is_err());
    assert_eq!(service.metric(&requests(200)).await, 1.0);
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let service = Service::start("grpc: {address: 'unix:DIR/als.sock'}\n").await;
    service.client(None).stream_access_logs(iter([message(vec![entry(200, "via_upstream")])])).await.unwrap();
    assert_eq!(service.metric(&requests(200)).await, 1.0);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_counted_and_others_go_on() {
    let service = Service::start("grpc: {address: '127.0.0.1:0', maxMessage: 4096}\n").await;
    let mut giant = entry(200, "via_upstream");
    giant.request.as_mut().unwrap().path = "/".repeat(10_000);
    assert!(service.client(None).stream_access_logs(iter([message(vec![giant])])).await.is_err());
    assert_eq!(service.metric(r#"exporter_dropped_entries_total{reason="too_large"}"#).await, 1.0);
    service.client(None).stream_access_logs(iter([message(vec![entry(200, "via_upstream")])])).await.unwrap();
    assert_eq!(service.metric(&requests(200)).await, 1.0);
}

#[tokio::test]
async fn what_is_refused_is_told_in_the_file_and_who_comes_most_on_its_page() {
    let service = Service::start("events: {file: {path: DIR/events}, redact: [path]}\n").await;
    let stream = service.stream();
    stream.send(message(vec![entry(200, "via_upstream"), entry(429, "request_rate_limited")])).await.unwrap();
    service.reaches(r#"exporter_events_total{event="rate_limited"}"#, 1.0).await;
    let file = service.file("events");
    let line = async || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'));
    let text = testbed::wait::wait_for("a line", PATIENCE, line).await.unwrap();
    let line: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (&line["event"], &line["request"], &line["path"]),
        (&json!("rate_limited"), &json!("id-1"), &json!("***"))
    );
    let top: Value = serde_json::from_str(&service.page("/top").await).unwrap();
    assert_eq!(top["paths"][0], json!({ "key": "/cart", "hits": 2, "error": 0 }));
    assert_eq!(top["refused"][0]["hits"], json!(1));
}

#[tokio::test]
async fn at_the_end_streams_are_told_and_the_port_closes() {
    let service = Service::start("").await;
    let mut client = service.client(None);
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    let stream =
        tokio::spawn(
            async move { client.stream_access_logs(tokio_stream::wrappers::ReceiverStream::new(messages)).await },
        );
    sender.send(message(vec![entry(200, "via_upstream")])).await.unwrap();
    service.reaches("exporter_streams", 1.0).await;
    let status = service.process.terminate(PATIENCE).await.unwrap();
    assert!(status.success(), "{status}");
    let error = stream.await.unwrap().unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
}
