//! A real Envoy asks the service for each request.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::echo::Echo;
use testbed::envoy::Envoy;
use testbed::front::{self, laid_over};

use crate::house::Service;

/// An Envoy whose one route has these rate limits, before a backend.
struct Edge {
    envoy: Envoy,
    address: SocketAddr,
    _backend: Echo,
}

impl Edge {
    async fn start(service: &str, limits: &Value, filter: &Value) -> Self {
        Self::launch(front::Spec::new("ratelimit", service.parse().unwrap()), limits, filter).await
    }

    async fn launch(front: front::Spec, limits: &Value, filter: &Value) -> Self {
        let backend = Echo::http().name("a").spawn().await.unwrap();
        let limits = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
            "rate_limits": limits,
        });
        let route = json!({ "typed_per_filter_config": { "ratelimit": limits } });
        let front = front.filter("ratelimit", &rate_limit(filter)).route(&route);
        let (envoy, address) = front.start(backend.address()).await.unwrap();
        Self { envoy, address, _backend: backend }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::get(&format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    async fn status(&self, path: &str, headers: &[(&str, &str)]) -> StatusCode {
        self.get(path, headers).await.status
    }
}

fn rate_limit(fields: &Value) -> Value {
    let usual = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        "domain": "edge",
        "timeout": "1s",
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": { "envoy_grpc": { "cluster_name": "ratelimit" } },
        },
    });
    laid_over(usual, fields)
}

const OK: StatusCode = StatusCode::OK;
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

fn header(name: &str, key: &str) -> Value {
    json!({ "request_headers": { "header_name": name, "descriptor_key": key } })
}

const PER_USER: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: year, requests_per_unit: 2}
- key: user
  value: vip*
  rate_limit: {unlimited: true}
- key: remote_address
  rate_limit: {unit: year, requests_per_unit: 5}
";

#[tokio::test]
async fn each_value_of_a_header_has_a_limit_of_its_own() {
    let service = Service::start(PER_USER, "headers: {standard: ietf}\n").await;
    let limits = json!([{ "actions": [header("x-user", "user")] }]);
    let edge = Edge::start(&service.grpc, &limits, &json!({ "enable_x_ratelimit_headers": "DRAFT_VERSION_03" })).await;
    let first = edge.get("/", &[("x-user", "ann")]).await;
    assert_eq!((first.status, &first.headers["x-ratelimit-remaining"]), (OK, &"1".parse().unwrap()));
    assert_eq!(first.headers["ratelimit-policy"], "\"0\";q=2;w=31536000");
    assert_eq!(edge.status("/", &[("x-user", "ann")]).await, OK);
    let third = edge.get("/", &[("x-user", "ann")]).await;
    assert_eq!(third.status, TOO_MANY);
    let wait: u32 = third.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=31_536_000).contains(&wait), "{wait}");
    assert_eq!(edge.status("/", &[("x-user", "bob")]).await, OK);
    for _ in 0..5 {
        assert_eq!(edge.status("/", &[("x-user", "vip-1")]).await, OK);
        assert_eq!(edge.status("/", &[]).await, OK);
    }
    let over = service.metric(r#"ratelimit_over_limit_total{domain="edge",rule="user"}"#).await;
    assert!((over - 1.0).abs() < f64::EPSILON, "{over}");
}

#[tokio::test]
async fn any_of_several_descriptors_refuses() {
    let service = Service::start(PER_USER, "").await;
    let limits = json!([{ "actions": [header("x-user", "user")] }, { "actions": [{ "remote_address": {} }] }]);
    let edge = Edge::start(&service.grpc, &limits, &json!({})).await;
    for user in ["a", "b", "c", "d", "e"] {
        assert_eq!(edge.status("/", &[("x-user", user)]).await, OK);
    }
    // The address is over its limit, so the user does not matter.
    assert_eq!(edge.status("/", &[("x-user", "f")]).await, TOO_MANY);
}

#[tokio::test]
async fn without_the_service_the_failure_mode_decides() {
    for (deny, wanted) in [(false, OK), (true, StatusCode::INTERNAL_SERVER_ERROR)] {
        let mut service = Service::start(PER_USER, "").await;
        let limits = json!([{ "actions": [header("x-user", "user")] }]);
        let edge = Edge::start(&service.grpc, &limits, &json!({ "failure_mode_deny": deny })).await;
        assert_eq!(edge.status("/", &[("x-user", "ann")]).await, OK);
        service.process.kill().unwrap();
        assert_eq!(edge.status("/", &[("x-user", "ann")]).await, wanted);
        assert!(edge.envoy.stat("cluster.backend.ratelimit.error").await.unwrap() > 0);
    }
}

#[tokio::test]
async fn new_rules_are_taken_over_and_wrong_ones_are_not() {
    let service = Service::start(PER_USER, "").await;
    let limits = json!([{ "actions": [header("x-user", "user")] }]);
    let edge = Edge::start(&service.grpc, &limits, &json!({})).await;
    std::fs::write(service.rules(), "domain: edge\ndescriptors: [{key: user, rate_limit: {unit: no}}]\n").unwrap();
    let failures = async || service.metric(r#"config_reload_failures_total{config="rules"}"#).await > 0.0;
    testbed::wait::wait_until("the failure to be counted", testbed::PATIENCE, failures).await.unwrap();
    assert!(service.process.log().contains("descriptors[0].rate_limit.unit"), "{}", service.process.log());
    for wanted in [OK, OK, TOO_MANY] {
        assert_eq!(edge.status("/", &[("x-user", "ann")]).await, wanted);
    }
    std::fs::write(service.rules(), PER_USER.replace("requests_per_unit: 2", "requests_per_unit: 4")).unwrap();
    let reloaded = async || service.metric(r#"config_reloads_total{config="rules"}"#).await > 0.0;
    testbed::wait::wait_until("new rules", testbed::PATIENCE, reloaded).await.unwrap();
    // The three hits still count.
    for wanted in [OK, TOO_MANY] {
        assert_eq!(edge.status("/", &[("x-user", "ann")]).await, wanted);
    }
}

const COSTS: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: year, requests_per_unit: 5}
";

#[tokio::test]
async fn a_request_can_cost_what_its_answer_weighs() {
    let service = Service::start(COSTS, "").await;
    let limits = json!([
        { "actions": [header("x-user", "user")], "hits_addend": { "number": 0 } },
        {
            "actions": [header("x-user", "user")],
            "hits_addend": { "format": "%BYTES_SENT%" },
            "apply_on_stream_done": true,
        },
    ]);
    let edge = Edge::start(&service.grpc, &limits, &json!({})).await;
    let first = edge.get("/", &[("x-user", "ann")]).await;
    assert_eq!(first.status, OK);
    let weight = f64::from(u32::try_from(first.text().len()).unwrap());
    // Envoy tells the cost when the answer is out.
    let told = async || service.metric(r#"ratelimit_hits_total{domain="edge",rule="user"}"#).await >= weight;
    testbed::wait::wait_until("the cost to be told", testbed::PATIENCE, told).await.unwrap();
    assert_eq!(edge.status("/", &[("x-user", "ann")]).await, TOO_MANY);
    assert_eq!(edge.status("/", &[("x-user", "bob")]).await, OK);
}

/// HS256 by the key below: `{"iss": "issuer", "sub": "ann"}`, and the same of bob.
const ANN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJpc3N1ZXIiLCJzdWIiOiJhbm4ifQ.PqcS9yk_ZW5w84KAdFS_Bas4y5lzvkXd9t1LgWz59Lg";
const BOB: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJpc3N1ZXIiLCJzdWIiOiJib2IifQ.K4Pd-foMtQWWaMZlF5aQWpxRLujvcUjWL4OFFmSOTp4";
const KEY: &str = "YSBrZXkgZm9yIHRlc3RzIG9mIHRoaXJ0eS10d28gYnl0ZXM";

#[tokio::test]
async fn each_value_of_a_claim_has_a_limit_of_its_own() {
    let service = Service::start(PER_USER, "").await;
    let keys = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "k": KEY }] });
    let tokens = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": { "issuer": {
            "issuer": "issuer",
            "local_jwks": { "inline_string": keys.to_string() },
            "payload_in_metadata": "token",
        }},
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
    });
    let claim = json!({ "metadata": {
        "descriptor_key": "user",
        "metadata_key": {
            "key": "envoy.filters.http.jwt_authn",
            "path": [{ "key": "token" }, { "key": "sub" }],
        },
    }});
    let front = front::Spec::new("ratelimit", service.grpc.parse().unwrap()).filter("jwt", &tokens);
    let edge = Edge::launch(front, &json!([{ "actions": [claim] }]), &json!({})).await;
    let status = async |token: &str| edge.status("/", &[("authorization", &format!("Bearer {token}"))]).await;
    for wanted in [OK, OK, TOO_MANY, TOO_MANY] {
        assert_eq!(status(ANN).await, wanted);
    }
    assert_eq!(status(BOB).await, OK);
    // Without a good token nobody is counted: a name that is only said is none.
    let forged = format!("{}{}", &BOB[..BOB.len() - 4], "AAAA");
    assert_eq!(status(&forged).await, StatusCode::UNAUTHORIZED);
    let hits = service.metric(r#"ratelimit_hits_total{domain="edge",rule="user"}"#).await;
    assert!((hits - 5.0).abs() < f64::EPSILON, "{hits}");
}

const PER_PATH: &str = "
domain: edge
descriptors:
- key: path
  value: /api/*
  share_threshold: true
  rate_limit: {unit: year, requests_per_unit: 1, algorithm: sliding_window}
- key: path
  value: /trial
  shadow_mode: true
  rate_limit: {unit: year, requests_per_unit: 1}
- key: path
  value: /bucket
  rate_limit: {unit: year, requests_per_unit: 1, algorithm: token_bucket, burst: 2}
";

#[tokio::test]
async fn paths_have_limits_of_every_kind() {
    let service = Service::start(PER_PATH, "").await;
    let limits = json!([{ "actions": [header(":path", "path")] }]);
    let edge = Edge::start(&service.grpc, &limits, &json!({})).await;
    for (path, wanted) in [
        ("/api/one", OK),
        ("/api/two", TOO_MANY),
        ("/trial", OK),
        ("/trial", OK),
        ("/bucket", OK),
        ("/bucket", OK),
        ("/bucket", TOO_MANY),
        ("/other", OK),
    ] {
        assert_eq!(edge.status(path, &[]).await, wanted, "{path}");
    }
    let shadow = service.metric(r#"ratelimit_shadow_mode_total{domain="edge",rule="path_/trial"}"#).await;
    assert!((shadow - 1.0).abs() < f64::EPSILON, "{shadow}");
}
