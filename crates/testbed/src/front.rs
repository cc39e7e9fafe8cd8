//! An Envoy before a backend that asks a service about each request.
//!
//! ```text
//! client ─▶ Envoy ─▶ the cluster `backend`
//!             └ asks ─▶ the cluster of the service, in a filter
//! ```

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};

use crate::envoy::{self, Envoy};
use crate::pki::Identity;

/// What is asked, and how.
#[derive(Debug, Clone)]
pub struct Spec {
    service: Value,
    filters: Vec<Value>,
    manager: Value,
    http2: bool,
    tls: Option<Identity>,
    quic: Option<Identity>,
}

impl Spec {
    /// With a service that is asked by gRPC, as a cluster of this name.
    pub fn new(cluster: &str, service: SocketAddr) -> Self {
        Self::asking(by_http2(self::cluster(cluster, service)))
    }

    /// With a service that is asked by HTTP/1.1.
    pub fn by_http(cluster: &str, service: SocketAddr) -> Self {
        Self::asking(self::cluster(cluster, service))
    }

    fn asking(service: Value) -> Self {
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "http",
            "use_remote_address": true,
        });
        Self { service, filters: Vec::new(), manager, http2: false, tls: None, quic: None }.route(&json!({}))
    }

    /// Adds a filter behind those that there are.
    #[must_use]
    pub fn filter(mut self, name: &str, config: &Value) -> Self {
        self.filters.push(json!({ "name": name, "typed_config": config }));
        self
    }

    /// Gives the one route that there is these fields.
    #[must_use]
    pub fn route(self, fields: &Value) -> Self {
        let route = laid_over(json!({ "match": { "prefix": "/" }, "route": { "cluster": "backend" } }), fields);
        self.hosts(&[json!({ "name": "all", "domains": ["*"], "routes": [route] })])
    }

    /// Has these virtual hosts, and not the one that takes everything.
    #[must_use]
    pub fn hosts(self, hosts: &[Value]) -> Self {
        self.manager(&json!({ "route_config": { "virtual_hosts": hosts } }))
    }

    /// Writes this about each request to the log of the process.
    #[must_use]
    pub fn access_log(self, line: &str) -> Self {
        self.manager(&json!({ "access_log": [{ "name": "stdout", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": { "text_format_source": { "inline_string": format!("{line}\n") } },
        }}]}))
    }

    /// Gives the connection manager these fields.
    #[must_use]
    pub fn manager(mut self, fields: &Value) -> Self {
        self.manager = laid_over(self.manager, fields);
        self
    }

    /// Speaks HTTP/2 with the backend.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Speaks TLS with clients.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.tls = Some(identity.clone());
        self
    }

    /// Speaks HTTP/3 too, at the listener `http3`.
    #[must_use]
    pub fn http3(mut self, identity: &Identity) -> Self {
        self.quic = Some(identity.clone());
        self
    }

    /// The bootstrap, with the listener `http`, and `http3` where that is wanted.
    pub fn bootstrap(self, backend: SocketAddr) -> Value {
        let router = json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" });
        let Self { service, filters, manager, http2, tls, quic } = self.filter("router", &router);
        let manager = laid_over(manager, &json!({ "http_filters": filters }));
        let tls = tls.map(|identity| socket("tls.v3.DownstreamTlsContext", &certificate(&identity)));
        let mut listeners = vec![listener("http", "TCP", &manager, tls)];
        if let Some(identity) = quic {
            let manager = laid_over(manager, &json!({ "codec_type": "HTTP3" }));
            let tls = json!({ "downstream_tls_context": certificate(&identity) });
            let mut quic = listener("http3", "UDP", &manager, Some(socket("quic.v3.QuicDownstreamTransport", &tls)));
            quic["udp_listener_config"] = json!({ "quic_options": {} });
            listeners.push(quic);
        }
        let backend = cluster("backend", backend);
        let backend = if http2 { by_http2(backend) } else { backend };
        json!({ "static_resources": { "listeners": listeners, "clusters": [service, backend] } })
    }

    /// Starts Envoy; with the address of its listener.
    pub async fn start(self, backend: SocketAddr) -> Result<(Envoy, SocketAddr)> {
        let spec = envoy::Spec::new(self.bootstrap(backend).to_string());
        let envoy = spec.args(["--file-flush-interval-msec", "100"]).start().await?;
        let address = envoy.listener("http").await?;
        Ok((envoy, address))
    }
}

fn listener(name: &str, protocol: &str, manager: &Value, socket: Option<Value>) -> Value {
    let mut chain = json!({ "filters": [{ "name": "http", "typed_config": manager }] });
    if let Some(socket) = socket {
        chain["transport_socket"] = json!({ "name": "tls", "typed_config": socket });
    }
    let address = json!({ "address": "127.0.0.1", "port_value": 0, "protocol": protocol });
    json!({ "name": name, "address": { "socket_address": address }, "filter_chains": [chain] })
}

fn socket(kind: &str, fields: &Value) -> Value {
    laid_over(json!({ "@type": format!("type.googleapis.com/envoy.extensions.transport_sockets.{kind}") }), fields)
}

fn certificate(Identity { cert, key }: &Identity) -> Value {
    let text = |text: &str| json!({ "inline_string": text });
    let certificates = json!([{ "certificate_chain": text(cert), "private_key": text(key) }]);
    json!({ "common_tls_context": { "tls_certificates": certificates } })
}

/// A value with these fields in the place of its own.
pub fn laid_over(mut base: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().into_iter().flatten() {
        base[name] = value.clone();
    }
    base
}

fn by_http2(cluster: Value) -> Value {
    let options = json!({ "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        }
    }});
    laid_over(cluster, &options)
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
            "socket_address": { "address": address.ip().to_string(), "port_value": address.port() }
        }}}]}]},
    })
}
