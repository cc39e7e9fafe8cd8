//! A real Envoy that asks the service, before a backend.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::echo::Echo;
use testbed::envoy::{Envoy, Spec};
use testbed::front::{self, laid_over};

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

pub(crate) fn bootstrap(service: SocketAddr, backend: SocketAddr, filter: &Value, route: &Value) -> Value {
    front(service, filter, route).bootstrap(backend)
}

pub(crate) fn front(service: SocketAddr, filter: &Value, route: &Value) -> front::Spec {
    let ext_proc = json!({
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
    front::Spec::new("waf", service)
        .filter("waf", &laid_over(ext_proc, filter))
        .route(&laid_over(json!({ "name": "httproute/shop/cats/rule/0" }), route))
        .access_log("METADATA %DYNAMIC_METADATA(portcullis.waf)% %RESPONSE_CODE_DETAILS%")
        .manager(&json!({
            "normalize_path": true,
            "merge_slashes": true,
            "http_protocol_options": { "accept_http_10": true, "enable_trailers": true },
        }))
}
