//! The Envoy of the tests: every route asks the service first.

use std::net::SocketAddr;

use serde_json::{Value, json};
use testbed::envoy::{Envoy, Spec};
use testbed::pki::Identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn endpoint(name: &str, address: SocketAddr, http2: bool) -> Value {
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
            "socket_address": { "address": address.ip().to_string(), "port_value": address.port() }
        }}}]}]},
    });
    if http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            }
        });
    }
    cluster
}

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

const LOG_LINE: &str = "%RESPONSE_CODE% meta=%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%\n";

fn bootstrap(filter: &Value, service: SocketAddr, http2: bool, backend: SocketAddr, tls: Option<&Identity>) -> Value {
    let hosts = NAMED.iter().map(|name| host(&format!("{name}.example"), Some(name)));
    let hosts: Vec<Value> = hosts.chain([host("*", None)]).collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "use_remote_address": true,
        // As raw as Envoy lets paths through: what is normalised cannot be tricky.
        "normalize_path": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "http_protocol_options": { "accept_http_10": true },
        "max_request_headers_kb": 96,
        "route_config": { "virtual_hosts": hosts },
        "http_filters": [
            { "name": "ext_authz", "typed_config": filter },
            { "name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
        ],
        "access_log": [{ "name": "stdout", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "text_format_source": { "inline_string": LOG_LINE } },
        }}],
    });
    let mut chain = json!({ "filters": [{ "name": "http", "typed_config": manager }] });
    if let Some(identity) = tls {
        let text = |text: &str| json!({ "inline_string": text });
        let certificate = json!({ "certificate_chain": text(&identity.cert), "private_key": text(&identity.key) });
        chain["transport_socket"] = json!({ "name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": { "tls_certificates": [certificate] },
        }});
    }
    json!({ "static_resources": {
        "listeners": [{
            "name": "http",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
            "filter_chains": [chain],
        }],
        "clusters": [endpoint("oidc", service, http2), endpoint("backend", backend, false)],
    }})
}

/// An Envoy that asks by gRPC.
pub(crate) async fn start(service: &str, backend: SocketAddr) -> (Envoy, SocketAddr) {
    launch(&bootstrap(&by_grpc(), service.parse().unwrap(), true, backend, None)).await
}

/// The same with TLS towards browsers.
pub(crate) async fn start_tls(service: &str, backend: SocketAddr, identity: &Identity) -> (Envoy, SocketAddr) {
    launch(&bootstrap(&by_grpc(), service.parse().unwrap(), true, backend, Some(identity))).await
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
    launch(&bootstrap(&filter, service.parse().unwrap(), false, backend, None)).await
}

async fn launch(bootstrap: &Value) -> (Envoy, SocketAddr) {
    let envoy = Spec::new(bootstrap.to_string()).args(["--file-flush-interval-msec", "100"]).start().await.unwrap();
    let address = envoy.listener("http").await.unwrap();
    (envoy, address)
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
