//! A real Envoy that asks the service, before a backend.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::echo::Echo;
use testbed::envoy::{Envoy, Spec};

use crate::house::Service;

/// An injection, encoded for a query or a form.
pub(crate) const INJECTION: &str = "1%27%20OR%20%271%27%3D%271%27--%20-";

/// An Envoy with one route, before a backend.
pub(crate) struct Edge {
    pub(crate) envoy: Envoy,
    pub(crate) backend: Echo,
    pub(crate) address: SocketAddr,
}

impl Edge {
    /// With the usual filter.
    pub(crate) async fn start(service: &Service) -> Self {
        Self::with(service, &json!({}), &json!({})).await
    }

    /// With fields of the filter, and of the route, that are not as usual.
    pub(crate) async fn with(service: &Service, filter: &Value, route: &Value) -> Self {
        let backend = Echo::http().name("a").spawn().await.unwrap();
        let bootstrap = bootstrap(service.grpc.parse().unwrap(), backend.address(), filter, route);
        let envoy = Spec::new(bootstrap.to_string()).start().await.unwrap();
        let address = envoy.listener("http").await.unwrap();
        Self { envoy, backend, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        Request::get(&self.url(path)).header("user-agent", "tests").send().await.unwrap()
    }

    /// Sends a body of a type.
    pub(crate) async fn post(&self, kind: &str, body: impl Into<bytes::Bytes>) -> Response {
        Request::post(&self.url("/"), body)
            .header("user-agent", "tests")
            .header("accept", "*/*")
            .header("content-type", kind)
            .send()
            .await
            .unwrap()
    }

    /// The status for a form.
    pub(crate) async fn form(&self, body: impl Into<bytes::Bytes>) -> StatusCode {
        self.post("application/x-www-form-urlencoded", body).await.status
    }
}

fn laid_over(base: &mut Value, over: &Value) {
    for (name, value) in over.as_object().unwrap() {
        base[name] = value.clone();
    }
}

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

pub(crate) fn bootstrap(service: SocketAddr, backend: SocketAddr, filter: &Value, route: &Value) -> Value {
    let mut ext_proc = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": { "envoy_grpc": { "cluster_name": "waf" } },
        "message_timeout": "30s",
        "allow_mode_override": true,
        "processing_mode": { "request_header_mode": "SEND", "response_header_mode": "SKIP" },
        "request_attributes": ["source.address", "destination.address", "request.protocol", "xds.route_name"],
        "metadata_options": {
            "forwarding_namespaces": { "untyped": ["portcullis.waf"] },
            "receiving_namespaces": { "untyped": ["portcullis.waf"] },
        },
    });
    laid_over(&mut ext_proc, filter);
    let mut one =
        json!({ "name": "httproute/shop/cats/rule/0", "match": { "prefix": "/" }, "route": { "cluster": "backend" } });
    laid_over(&mut one, route);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "http_protocol_options": { "accept_http_10": true, "enable_trailers": true },
        "access_log": [{ "name": "stdout", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "text_format_source": { "inline_string": "METADATA %DYNAMIC_METADATA(portcullis.waf)% %RESPONSE_CODE_DETAILS%\n" } },
        }}],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [one] }] },
        "http_filters": [
            { "name": "waf", "typed_config": ext_proc },
            { "name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
        ],
    });
    json!({ "static_resources": {
        "listeners": [{
            "name": "http",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
            "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
        }],
        "clusters": [endpoint("waf", service, true), endpoint("backend", backend, false)],
    }})
}
