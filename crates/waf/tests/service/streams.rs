//! What goes on while it is looked at, and what is not held because nobody looks at it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::client::websocket;
use testbed::envoy::Envoy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::envoy::{Edge, INJECTION, front};
use crate::house::Service;

const PROFILE: &str = "name: streams
exclusions: [{rules: [920420]}]
requestBody: {stream: true}
response: {inspect: true, body: {inspect: true, contentTypes: ['*/*']}}
";

/// A gateway before a backend that is written by hand.
struct Wire {
    service: Service,
    _envoy: Envoy,
    address: SocketAddr,
    backend: TcpListener,
}

impl Wire {
    async fn start() -> Self {
        Self::with(PROFILE, &json!({})).await
    }

    /// With another profile of that name, and fields of the filter that are not as usual.
    async fn with(profile: &str, filter: &Value) -> Self {
        let service = Service::start(&[("streams.yaml", profile)], "defaultProfile: streams\n").await;
        let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = front(service.grpc.parse().unwrap(), filter, &json!({}));
        let (envoy, address) = front.start(backend.local_addr().unwrap()).await.unwrap();
        Self { service, _envoy: envoy, address, backend }
    }

    /// A client that has sent a request so far, and the backend's end once it has come there.
    async fn ask(&self, head: &str, begin: &str) -> (TcpStream, TcpStream) {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{head}\r\nhost: shop.example\r\nuser-agent: tests\r\naccept: */*\r\n\r\n{begin}");
        client.write_all(head.as_bytes()).await.unwrap();
        let (upstream, _) = timeout(PATIENCE, self.backend.accept()).await.expect("the request comes").unwrap();
        (client, upstream)
    }
}

/// What is read until this is among it, or the end.
async fn until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut bytes = [0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap_or_else(|_| panic!("no {wanted:?}: {text}"));
        let read = read.unwrap_or(0);
        if read == 0 {
            break;
        }
        text += &String::from_utf8_lossy(&bytes[..read]);
    }
    text
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[tokio::test]
async fn pieces_of_a_body_go_on_while_they_are_read_and_its_end_is_withheld() {
    let wire = Wire::start().await;
    let head = "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked";
    let (mut client, mut upstream) = wire.ask(head, &chunk("a=first")).await;
    assert!(until(&mut upstream, "a=first").await.contains("a=first"));
    let rest = chunk(&format!("&id={INJECTION}")) + "0\r\n\r\n";
    client.write_all(rest.as_bytes()).await.unwrap();
    let answer = until(&mut client, "Rule:").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    // The backend learns that the request broke off.
    let rest = until(&mut upstream, "\r\n0\r\n\r\n").await;
    assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
    wire.service.reaches(r#"waf_transactions_total{profile="streams",verdict="block"}"#, 1.0).await;
}

/// A form that is answered before it has ended, by what is no answer yet.
async fn answered_early(wire: &Wire) -> (TcpStream, TcpStream) {
    let head = "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked";
    let (mut client, mut upstream) = wire.ask(head, &chunk("a=b")).await;
    until(&mut upstream, "\r\n\r\n").await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    upstream.write_all(head).await.unwrap();
    let answer = until(&mut client, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    (client, upstream)
}

#[tokio::test]
async fn nothing_of_a_body_goes_on_that_follows_an_early_response_unless_longer_bodies_may_pass() {
    let duplex = json!({
        "allow_mode_override": false,
        "processing_mode": {
            "request_header_mode": "SEND", "response_header_mode": "SEND",
            "request_body_mode": "FULL_DUPLEX_STREAMED", "request_trailer_mode": "SEND",
        },
    });
    let lenient = PROFILE.replace("stream: true", "stream: true, overLimit: pass");
    for (profile, filter, passes) in
        [(PROFILE, &json!({}), false), (PROFILE, &duplex, false), (&lenient, &json!({}), true)]
    {
        let wire = Wire::with(profile, filter).await;
        let (mut client, mut upstream) = answered_early(&wire).await;
        let rest = chunk(&format!("&id={INJECTION}")) + "0\r\n\r\n";
        client.write_all(rest.as_bytes()).await.unwrap();
        let rest = until(&mut upstream, "0\r\n\r\n").await;
        assert_eq!(rest.contains(INJECTION), passes, "{filter}: {rest}");
        assert_eq!(rest.ends_with("0\r\n\r\n"), passes, "{filter}: {rest}");
        drop((client, upstream));
        let verdict = if passes { "pass" } else { "block" };
        let series = format!("waf_transactions_total{{profile=\"streams\",verdict=\"{verdict}\"}}");
        wire.service.reaches(&series, 1.0).await;
        // What has come until then was judged, and only its end is still to come.
        let (mut client, mut upstream) = answered_early(&wire).await;
        client.write_all(b"0\r\n\r\n").await.unwrap();
        assert!(until(&mut upstream, "0\r\n\r\n").await.ends_with("0\r\n\r\n"), "{filter}");
    }
}

/// The profile that blocks has all of the body before the application has any of it.
#[tokio::test]
async fn a_profile_that_only_detects_finds_no_fault_with_an_early_response_unless_it_streams() {
    for (streams, verdict) in [(false, "pass"), (true, "detect")] {
        let profile = PROFILE.replace("stream: true", &format!("stream: {streams}")) + "mode: detect\n";
        let wire = Wire::with(&profile, &json!({})).await;
        let (mut client, mut upstream) = answered_early(&wire).await;
        client.write_all((chunk("&c=d") + "0\r\n\r\n").as_bytes()).await.unwrap();
        assert!(until(&mut upstream, "0\r\n\r\n").await.contains("&c=d"), "nothing is withheld");
        drop((client, upstream));
        let series = format!("waf_transactions_total{{profile=\"streams\",verdict=\"{verdict}\"}}");
        wire.service.reaches(&series, 1.0).await;
    }
}

#[tokio::test]
async fn an_event_stream_is_not_held() {
    let wire = Wire::start().await;
    let (mut client, mut upstream) = wire.ask("GET /events HTTP/1.1", "").await;
    until(&mut upstream, "\r\n\r\n").await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    upstream.write_all((head.to_owned() + &chunk("data: one\n\n")).as_bytes()).await.unwrap();
    let first = until(&mut client, "data: one").await;
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    upstream.write_all((chunk("data: two\n\n") + "0\r\n\r\n").as_bytes()).await.unwrap();
    assert!(until(&mut client, "data: two").await.contains("data: two"));
    let seen = wire.service.metric(r#"waf_body_bytes_total{direction="response"}"#).await;
    assert!(seen < 1.0, "{seen}");
}

#[tokio::test]
async fn a_web_socket_is_judged_by_its_handshake() {
    let service = Service::start(&[("streams.yaml", PROFILE)], "defaultProfile: streams\n").await;
    let upgrades = json!({ "route": { "cluster": "backend", "upgrade_configs": [{ "upgrade_type": "websocket" }] } });
    let edge = Edge::with(&service, &json!({}), &upgrades).await;
    let usual = [("user-agent", "tests"), ("accept", "*/*")];
    let mut socket = websocket(edge.address, "ws://shop.example/chat", &usual).await.unwrap();
    for text in ["hello", "1' OR '1'='1'-- -"] {
        assert!(socket.exchange(text).await.unwrap().ends_with(text));
    }
    let refused = websocket(edge.address, &format!("ws://shop.example/chat?id={INJECTION}"), &usual).await;
    assert!(format!("{:#}", refused.unwrap_err()).contains("403"));
    assert_eq!(edge.backend.count(), 1);
}
