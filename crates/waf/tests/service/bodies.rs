//! Bodies: of every length around the limit, in pieces, packed, in every mode of Envoy.

use http::StatusCode;
use serde_json::json;
use testbed::PATIENCE;
use testbed::client::Request;

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

fn small(over_limit: &str) -> String {
    format!("name: small\nrequestBody: {{limit: 1000, overLimit: {over_limit}}}\n")
}

fn padded(total: usize, tail: &str) -> String {
    let begin = "pad=";
    format!("{begin}{}{tail}", "a".repeat(total - begin.len() - tail.len()))
}

#[tokio::test]
async fn an_attack_is_found_wherever_it_stands_in_a_body() {
    let service = Service::start(&[], "").await;
    let edge = Edge::start(&service).await;
    assert_eq!(edge.form("a=b").await, StatusCode::OK);
    assert_eq!(edge.form(format!("a=b&id={INJECTION}")).await, StatusCode::FORBIDDEN);
    let json = r#"{"user": {"name": "1' OR '1'='1'-- -"}}"#;
    assert_eq!(edge.post("application/json", json).await.status, StatusCode::FORBIDDEN);
    assert_eq!(edge.post("application/json", r#"{"user": "ann"}"#).await.status, StatusCode::OK);
    assert_eq!(edge.post("application/json", "{\"user\": ").await.status, StatusCode::BAD_REQUEST);
    let part = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1' OR '1'='1'-- -\r\n--x--\r\n";
    assert_eq!(edge.post("multipart/form-data; boundary=x", part).await.status, StatusCode::FORBIDDEN);
    assert_eq!(edge.backend.count(), 2);
}

#[tokio::test]
async fn the_limit_is_exact_and_what_is_over_it_has_a_choice() {
    for (over_limit, longer, attack_within) in [
        ("reject", StatusCode::PAYLOAD_TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE),
        ("partial", StatusCode::OK, StatusCode::FORBIDDEN),
        ("pass", StatusCode::OK, StatusCode::OK),
    ] {
        let service = Service::start(&[("small.yaml", &small(over_limit))], "defaultProfile: small\n").await;
        let edge = Edge::start(&service).await;
        let tail = format!("&id={INJECTION}");
        for length in [999, 1000] {
            assert_eq!(edge.form(padded(length, "")).await, StatusCode::OK, "{over_limit} {length}");
            assert_eq!(edge.form(padded(length, &tail)).await, StatusCode::FORBIDDEN, "{over_limit} {length}");
        }
        assert_eq!(edge.form(padded(1001, "")).await, longer, "{over_limit}");
        let early = format!("id={INJECTION}&{}", padded(1000, ""));
        assert_eq!(edge.form(early).await, attack_within, "{over_limit}");
        let inspected = if over_limit == "partial" { "part" } else { "nothing" };
        let cut = format!("waf_bodies_cut_total{{direction=\"request\",inspected=\"{inspected}\"}}");
        service.reaches(&cut, if over_limit == "reject" { 0.0 } else { 2.0 }).await;
    }
}

#[tokio::test]
async fn reports_are_read_where_the_core_rules_let_them_in() {
    let older = "name: older\ncoreRules: {version: 4.22.0}\n";
    let service = Service::start(&[("older.yaml", older)], "defaultProfile: older\n").await;
    let edge = Edge::start(&service).await;
    for kind in ["application/csp-report", "Application/CSP-Report; charset=utf-8", "application/reports+json"] {
        let report = |uri: &str| format!(r#"{{"csp-report": {{"document-uri": "{uri}"}}}}"#);
        assert_eq!(edge.post(kind, report("/cart")).await.status, StatusCode::OK, "{kind}");
        let attack = edge.post(kind, report("1' OR '1'='1'-- -")).await;
        assert_eq!(attack.status, StatusCode::FORBIDDEN, "{kind}");
    }
    assert_eq!(edge.backend.count(), 3);
}

#[tokio::test]
async fn packed_bodies_are_unpacked() {
    use std::io::Write;
    // The Core Rule Set refuses every packed request, so it has to be told to let them be.
    let profile = "name: packed\nexclusions: [{rules: [920450]}]\n";
    let service = Service::start(&[("packed.yaml", profile)], "defaultProfile: packed\n").await;
    let edge = Edge::start(&service).await;
    let gzip = |body: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = Request::post(&edge.url("/"), body)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("user-agent", "tests")
            .header("content-encoding", encoding);
        request.send().await.unwrap().status.as_u16()
    };
    let attack = format!("id={INJECTION}");
    assert_eq!(send("gzip", gzip("a=b")).await, 200);
    assert_eq!(send("gzip", gzip(&attack)).await, 403);
    // `a=b` and the attack, as Google's encoder packs them.
    assert_eq!(send("br", b"\x0b\x01\x80a=b\x03".to_vec()).await, 200);
    assert_eq!(send("br", [b"\x8b\x12\x80id=".as_slice(), INJECTION.as_bytes(), b"\x03"].concat()).await, 403);
    assert_eq!(send("br", b"whatever".to_vec()).await, 400);
    let zstd = |body: &str| zstd::encode_all(body.as_bytes(), 3).unwrap();
    assert_eq!(send("zstd", zstd("a=b")).await, 200);
    assert_eq!(send("zstd", zstd(&attack)).await, 403);
    assert_eq!(send("zstd", zstd(&"a".repeat(10 << 20))).await, 413);
    assert_eq!(send("compress", b"whatever".to_vec()).await, 415);
    assert_eq!(send("gzip", b"not gzip".to_vec()).await, 400);
    assert_eq!(send("gzip", gzip(&"a".repeat(10 << 20))).await, 413);
}

#[tokio::test]
async fn every_mode_of_envoy_will_do_that_sends_bodies() {
    let service = Service::start(&[], "").await;
    for mode in ["BUFFERED", "BUFFERED_PARTIAL", "STREAMED", "FULL_DUPLEX_STREAMED"] {
        let filter = json!({
            "allow_mode_override": false,
            "processing_mode": {
                "request_header_mode": "SEND", "response_header_mode": "SEND",
                "request_body_mode": mode, "request_trailer_mode": "SEND",
            },
        });
        let edge = Edge::with(&service, &filter, &json!({})).await;
        let long = padded(100_000, "");
        let answer = edge.post("application/x-www-form-urlencoded", long.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{mode}");
        assert_eq!(answer.echoed().unwrap().body, long, "{mode}");
        assert_eq!(edge.form(padded(100_000, &format!("&id={INJECTION}"))).await, StatusCode::FORBIDDEN, "{mode}");
        assert_eq!(edge.form(padded(140_000, "")).await, StatusCode::PAYLOAD_TOO_LARGE, "{mode}");
        // What is not looked at goes through as it is.
        let image = edge.post("image/png", vec![7; 200_000]).await;
        assert_eq!(image.status, StatusCode::FORBIDDEN, "{mode}: CRS takes no images");
    }
}

#[tokio::test]
async fn a_body_that_envoy_does_not_send_is_counted_and_said() {
    let mut service = Service::start(&[], "").await;
    let missed = async || service.metric("waf_missed_bodies_total").await;
    // The mode is `NONE`, and what the firewall asks for counts.
    let edge = Edge::start(&service).await;
    assert_eq!(edge.form("a=b").await, StatusCode::OK);
    assert_eq!(edge.form(format!("id={INJECTION}")).await, StatusCode::FORBIDDEN);
    assert!(missed().await < 1.0);
    // It does not count any more: what has a body is judged by its first rules alone.
    let (filter, route) = (json!({ "allow_mode_override": false }), json!({ "name": "httproute/blog/cats/rule/0" }));
    let edge = Edge::with(&service, &filter, &route).await;
    let attack = format!("/?id={INJECTION}");
    assert_eq!(edge.get(&attack).await.status, StatusCode::FORBIDDEN);
    assert!(missed().await < 1.0);
    for count in [1.0, 2.0] {
        let request = Request::post(&edge.url(&attack), "x").header("user-agent", "tests");
        assert_eq!(request.send().await.unwrap().status, StatusCode::OK);
        service.reaches("waf_missed_bodies_total", count).await;
    }
    let said = |line: &str| line.contains("allowModeOverride") && line.contains("httproute/blog/cats/rule/0");
    service.process.wait_for_line(PATIENCE, said).await.unwrap();
    // Where responses are shown, the rules run then.
    let shown = json!({ "allow_mode_override": false, "processing_mode": { "response_header_mode": "SEND" } });
    let edge = Edge::with(&service, &shown, &route).await;
    let request = Request::post(&edge.url(&attack), "x").header("user-agent", "tests");
    assert_eq!(request.send().await.unwrap().status, StatusCode::FORBIDDEN);
    assert_eq!(edge.backend.count(), 1);
    service.reaches("waf_missed_bodies_total", 3.0).await;
}

#[tokio::test]
async fn what_needs_no_body_is_not_asked_for_one() {
    let profile = "name: uploads\nexclusions: [{rules: [920420]}]\n";
    let service = Service::start(&[("uploads.yaml", profile)], "defaultProfile: uploads\n").await;
    let edge = Edge::start(&service).await;
    let answer = edge.post("image/png", vec![7; 3 << 20]).await;
    assert_eq!(answer.status, StatusCode::OK);
    service.reaches(r#"waf_transactions_total{profile="uploads",verdict="pass"}"#, 1.0).await;
    let bytes = service.metric(r#"waf_body_bytes_total{direction="request"}"#).await;
    assert!(bytes < 1.0, "{bytes}");
}
