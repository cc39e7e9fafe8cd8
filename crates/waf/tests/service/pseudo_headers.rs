//! Ways round the rules by the pseudo headers of HTTP/2 and HTTP/3: what the firewall judges is what the backend gets, or the
//! request is refused.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};
use testbed::client::{Fields, http2_fields, http3_fields};
use testbed::echo::Echo;
use testbed::envoy::{Envoy, Spec};
use testbed::pki::Ca;

use crate::envoy::{INJECTION, front};
use crate::house::Service;

const PROFILE: &str = "name: own
extends: baseline
directives: |
  SecRule REQUEST_HEADERS:Host \"@contains evil\" \"id:10001,phase:1,deny\"
  SecRule REQUEST_URI \"@contains /admin\" \"id:10002,phase:1,deny\"
";

/// A request as it should be.
const USUAL: &Fields<'_> = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "shop.example"),
    (":path", "/"),
    ("user-agent", "tests"),
    ("accept", "*/*"),
];

/// The service, an Envoy, a backend, and the way in by one protocol.
struct Edge {
    service: Service,
    _envoy: Envoy,
    backend: Echo,
    address: SocketAddr,
    ca: Option<String>,
}

impl Edge {
    async fn start(http3: bool) -> Self {
        let service =
            Service::start_with_audit(&[("own.yaml", PROFILE)], "defaultProfile: own\n", "when: always").await;
        let backend = Echo::http().spawn().await.unwrap();
        let ca = Ca::new("tests").unwrap();
        let spec = front(service.grpc.parse().unwrap(), &json!({}), &json!({}))
            // Envoy would wait a second before it closes the connection of a client that it has understood nothing of.
            .manager(&json!({ "delayed_close_timeout": "0s" }))
            .http3(&ca.server(&["shop.example"]).unwrap());
        let envoy = Spec::new(spec.bootstrap(backend.address()).to_string()).start().await.unwrap();
        let address = envoy.listener(if http3 { "http3" } else { "http" }).await.unwrap();
        Self { service, _envoy: envoy, backend, address, ca: http3.then(|| ca.pem()) }
    }

    async fn send(&self, fields: &Fields<'_>) -> Option<Bytes> {
        match &self.ca {
            Some(ca) => http3_fields(self.address, "shop.example", ca, fields).await.unwrap(),
            None => http2_fields(self.address, fields).await.unwrap(),
        }
    }

    /// Sends a request with these fields in the place of those of the same name; whether the backend got it.
    async fn passes(&self, changed: &Fields<'_>) -> bool {
        let usual = USUAL.iter().filter(|(name, _)| changed.iter().all(|(other, _)| name != other));
        let mut fields: Vec<_> = changed.iter().chain(usual).copied().collect();
        fields.sort_by_key(|(name, _)| !name.starts_with(':'));
        self.passes_as_it_is(&fields).await
    }

    async fn passes_as_it_is(&self, fields: &Fields<'_>) -> bool {
        let before = self.backend.count();
        self.send(fields).await;
        self.backend.count() > before
    }

    /// What the firewall let through is what the backend got: as many requests, and each as it was judged.
    async fn assert_judged_as_it_arrived(&self) {
        assert!(self.passes(&[(":path", "/last")]).await);
        self.service.entry("the last request", |entry| entry["target"] == "/last").await;
        let passed: Vec<Value> =
            self.service.entries().into_iter().filter(|entry| entry["verdict"] == "pass").collect();
        let arrived = self.backend.requests();
        for request in &arrived {
            let id = request.header("x-request-id").unwrap();
            let judged = passed.iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("{request:?}"));
            let [method, host, target] = ["method", "host", "target"].map(|field| judged[field].as_str().unwrap());
            assert_eq!((method, host, target), (&*request.method, &*request.host, &*request.path));
        }
        assert_eq!(passed.len(), arrived.len(), "{passed:#?}");
    }
}

/// Attacks, each in a place where one may look for it or not.
async fn attacks(edge: &Edge) {
    let query = format!("/?id={INJECTION}");
    let bare = format!("?id={INJECTION}");
    let rootless = format!("x?id={INJECTION}");
    let absolute = format!("https://shop.example/?id={INJECTION}");
    let fragment = format!("/#?id={INJECTION}");
    let line = format!("GET /?id={INJECTION} HTTP/1.1\r\nx: GET");
    for changed in [
        &[(":path", query.as_str())][..],
        &[(":path", "/"), (":path", &query)],
        &[(":path", &query), (":path", "/")],
        &[(":path", &bare)],
        &[(":path", &rootless)],
        &[(":path", &absolute)],
        &[(":path", &fragment)],
        &[(":path", "admin")],
        &[(":path", "/x/../admin")],
        &[(":path", "//admin")],
        &[(":path", "/x\\..\\admin")],
        &[(":path", "/./admin;x")],
        &[(":path", "/ HTTP/1.1\r\nx: /admin")],
        &[(":path", "/\0/admin")],
        &[(":method", &line)],
        &[(":method", "JEFF")],
        &[(":authority", "evil.example")],
        &[(":authority", "shop.example"), (":authority", "evil.example")],
        &[(":authority", "shop.example@evil.example")],
        &[(":authority", ""), ("host", "evil.example")],
        &[(":path", &query), ("x-http-method-override", "HEAD"), (":scheme", "http")],
        &[(":protocol", "websocket"), (":method", "CONNECT"), (":path", &query)],
    ] {
        assert!(!edge.passes(changed).await, "{changed:?}");
    }
    assert!(!edge.passes_as_it_is(&[&without(":authority")[..], &[("host", "evil.example")]].concat()).await);
    assert!(!edge.passes_as_it_is(&[&without(":path")[..], &[(":path", &query)]].concat()).await);
}

/// Requests that are odd and no attack: whether they pass is Envoy's affair.
async fn oddities(edge: &Edge) {
    for changed in [
        &[(":path", "")][..],
        &[(":path", "*")],
        &[(":path", "/%61?a=%62")],
        &[(":path", "/a/%2e%2e/b")],
        &[(":path", "/a b")],
        &[(":path", "/é")],
        &[(":path", "/a#b")],
        &[(":Path", "/b")],
        &[(":method", "get")],
        &[(":method", "")],
        &[(":method", "GET"), (":method", "HEAD")],
        &[(":method", "OPTIONS"), (":path", "*")],
        &[(":method", "CONNECT")],
        &[(":method", "CONNECT"), (":protocol", "odd")],
        &[(":scheme", "http")],
        &[(":scheme", "ftp")],
        &[(":scheme", "https://evil.example/?")],
        &[(":scheme", "https"), (":scheme", "http")],
        &[(":authority", "SHOP.example")],
        &[(":authority", "")],
        &[(":authority", "shop.example"), ("host", "evil.example")],
        &[("host", "a.example"), ("host", "b.example")],
        &[(":status", "200")],
        &[(":odd", "x")],
        &[("", "x")],
        &[("User-Agent", "tests")],
        &[("connection", "x"), ("transfer-encoding", "chunked")],
        &[("content-length", "5")],
    ] {
        edge.passes(changed).await;
    }
    for field in USUAL {
        let rest = without(field.0);
        edge.passes_as_it_is(&rest).await;
        // Pseudo headers come behind others then.
        edge.passes_as_it_is(&[&rest[..], &[*field]].concat()).await;
    }
}

fn without(left_out: &str) -> Vec<(&'static str, &'static str)> {
    USUAL.iter().copied().filter(|(name, _)| *name != left_out).collect()
}

#[tokio::test]
async fn of_http2() {
    let edge = Edge::start(false).await;
    attacks(&edge).await;
    oddities(&edge).await;
    edge.assert_judged_as_it_arrived().await;
}

#[tokio::test]
async fn of_http3() {
    let edge = Edge::start(true).await;
    attacks(&edge).await;
    oddities(&edge).await;
    edge.assert_judged_as_it_arrived().await;
}
