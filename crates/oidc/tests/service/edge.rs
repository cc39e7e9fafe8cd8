//! The Envoy of the tests: every route asks the service first.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testbed::envoy::Envoy;
use testbed::front;
use testbed::pki::Identity;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A host whose routes name a profile; without one they name none.
fn host(name: &str, profile: Option<&str>) -> Value {
    let mut route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "backend", "timeout": "30s" } });
    if let Some(profile) = profile {
        route["typed_per_filter_config"] = json!({ "ext_authz": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": { "context_extensions": { "profile": profile } },
        }});
    }
    let domains = if name == "*" { vec!["*".to_owned()] } else { vec![name.to_owned(), format!("{name}:*")] };
    json!({ "name": name, "domains": domains, "routes": [route] })
}

/// The profile is the first label of the host: `api.example` has the profile `api`. Other hosts name none.
const NAMED: &[&str] = &["api", "strict", "open", "step", "choice", "token", "exchange"];

const LOG_LINE: &str = "%RESPONSE_CODE% meta=%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%";

/// As raw as Envoy lets paths through: what is normalised cannot be tricky.
async fn start_with(front: front::Spec, filter: &Value, backend: SocketAddr) -> (Envoy, SocketAddr) {
    let hosts = NAMED.iter().map(|name| host(&format!("{name}.example"), Some(name)));
    let hosts: Vec<Value> = hosts.chain([host("*", None)]).collect();
    let front = front.filter("ext_authz", filter).hosts(&hosts).access_log(LOG_LINE).manager(&json!({
        "normalize_path": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "http_protocol_options": { "accept_http_10": true },
        "max_request_headers_kb": 96,
    }));
    front.start(backend).await.unwrap()
}

/// An Envoy that asks by gRPC.
pub(crate) async fn start(service: &str, backend: SocketAddr) -> (Envoy, SocketAddr) {
    start_with(front::Spec::new("oidc", service.parse().unwrap()), &by_grpc(), backend).await
}

/// The same, by an Envoy that says headers one by one, as the controller wants it.
pub(crate) async fn start_raw(service: &str, backend: SocketAddr) -> (Envoy, SocketAddr) {
    let filter = front::laid_over(by_grpc(), &json!({ "encode_raw_headers": true }));
    start_with(front::Spec::new("oidc", service.parse().unwrap()), &filter, backend).await
}

/// The same, by an Envoy that takes part in traces. Its own spans go nowhere.
pub(crate) async fn start_traced(service: &str, backend: SocketAddr) -> (Envoy, SocketAddr) {
    let tracer = json!({ "name": "envoy.tracers.opentelemetry", "typed_config": {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "grpc_service": { "envoy_grpc": { "cluster_name": "oidc" } },
        "service_name": "edge",
    }});
    let front =
        front::Spec::new("oidc", service.parse().unwrap()).manager(&json!({ "tracing": { "provider": tracer } }));
    start_with(front, &by_grpc(), backend).await
}

/// The same, with more filters behind the service.
pub(crate) async fn start_judged(service: &str, backend: SocketAddr, filters: &[(&str, Value)]) -> (Envoy, SocketAddr) {
    let front = front::Spec::new("oidc", service.parse().unwrap()).filter("ext_authz", &by_grpc());
    let front = filters.iter().fold(front, |front, (name, config)| front.filter(name, config));
    front.start(backend).await.unwrap()
}

/// The same, by an Envoy that reads paths before it asks; what it does with `%2F` and `%5C` is said.
pub(crate) async fn start_reading(service: &str, backend: SocketAddr, slashes: &str) -> (Envoy, SocketAddr) {
    let paths = json!({
        "normalize_path": true, "merge_slashes": true, "path_with_escaped_slashes_action": slashes,
    });
    front::Spec::new("oidc", service.parse().unwrap())
        .filter("ext_authz", &by_grpc())
        .manager(&paths)
        .start(backend)
        .await
        .unwrap()
}

/// The same with TLS towards browsers.
pub(crate) async fn start_tls(service: &str, backend: SocketAddr, identity: &Identity) -> (Envoy, SocketAddr) {
    start_with(front::Spec::new("oidc", service.parse().unwrap()).tls(identity), &by_grpc(), backend).await
}

fn by_grpc() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": { "envoy_grpc": { "cluster_name": "oidc" }, "timeout": "20s" },
        "with_request_body": { "max_request_bytes": 16384, "allow_partial_message": true },
    })
}

/// An Envoy that asks by HTTP, for a profile.
pub(crate) async fn start_http(service: &str, profile: &str, backend: SocketAddr) -> (Envoy, SocketAddr) {
    let any =
        |names: &[&str]| json!({ "patterns": names.iter().map(|name| json!({ "exact": name })).collect::<Vec<_>>() });
    let filter = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "http_service": {
            "server_uri": { "uri": format!("http://{service}"), "cluster": "oidc", "timeout": "20s" },
            "path_prefix": format!("/check/{profile}"),
            "authorization_response": {
                "allowed_upstream_headers": any(&["x-user", "x-email", "x-groups", "cookie", "authorization"]),
                "allowed_client_headers": any(&["set-cookie", "location", "www-authenticate", "content-type", "cache-control"]),
                "allowed_client_headers_on_success": any(&["set-cookie"]),
            },
        },
        "allowed_headers": any(&[
            "cookie", "accept", "authorization", "sec-fetch-mode", "sec-fetch-dest", "x-user", "x_user", "x-request-id",
        ]),
    });
    start_with(front::Spec::by_http("oidc", service.parse().unwrap()), &filter, backend).await
}

/// Sends bytes as they are and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(testbed::PATIENCE, exchange).await?
}

/// The status of the answer to bytes that are sent as they are; nothing when there is none. Whoever only wants this need not wait
/// for Envoy to close.
pub(crate) async fn status(address: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        std::io::Result::Ok(line)
    };
    let line = tokio::time::timeout(testbed::PATIENCE, exchange).await.ok()?.ok()?;
    line.split(' ').nth(1)?.parse().ok()
}
