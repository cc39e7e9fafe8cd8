//! An Envoy with all that we ask of one: TLS, health checks, an overload manager, a control plane, and our services in filters.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use testbed::pki::Identity;

/// What nobody serves.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

/// Where the services are that Envoy asks.
pub(crate) struct Services<'a> {
    pub(crate) limits: &'a str,
    pub(crate) logins: &'a str,
    pub(crate) firewall: &'a str,
    /// The exporter's socket, where there is one.
    pub(crate) log: Option<&'a Path>,
}

/// A type of Envoy's.
fn typed(name: &str, mut fields: Value) -> Value {
    fields["@type"] = format!("type.googleapis.com/envoy.{name}").into();
    fields
}

fn called(cluster: &str) -> Value {
    json!({ "envoy_grpc": { "cluster_name": cluster }, "timeout": "10s" })
}

fn filters() -> Value {
    let limits = json!({
        "domain": "edge", "rate_limit_service": { "transport_api_version": "V3", "grpc_service": called("limits") },
    });
    // Some limits are counted by a service that does not answer.
    let lost = json!({
        "domain": "edge", "stage": 1,
        "rate_limit_service": { "transport_api_version": "V3", "grpc_service": called("control-plane") },
    });
    let logins = json!({
        "stat_prefix": "single-sign-on", "failure_mode_allow": true, "transport_api_version": "V3",
        "grpc_service": called("logins"),
    });
    let firewall = json!({
        "failure_mode_allow": true, "grpc_service": called("firewall"), "message_timeout": "10s",
        "allow_mode_override": true, "processing_mode": { "response_header_mode": "SKIP" },
        "request_attributes": ["source.address", "destination.address", "request.protocol", "xds.route_name"],
    });
    json!([
        { "name": "limits", "typed_config": typed("extensions.filters.http.ratelimit.v3.RateLimit", limits) },
        { "name": "lost", "typed_config": typed("extensions.filters.http.ratelimit.v3.RateLimit", lost) },
        { "name": "logins", "typed_config": typed("extensions.filters.http.ext_authz.v3.ExtAuthz", logins) },
        { "name": "firewall", "typed_config": typed("extensions.filters.http.ext_proc.v3.ExternalProcessor", firewall) },
        { "name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router", json!({})) },
    ])
}

/// A route of Gateway API for the path of its name (`all`: every other), to a cluster; `asks` is the one service that it asks,
/// if any.
fn route(name: &str, cluster: &str, asks: &str) -> Value {
    let mut of_filters = json!({});
    if asks != "logins" {
        of_filters["logins"] =
            typed("extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", json!({ "disabled": true }));
    }
    if asks != "firewall" {
        of_filters["firewall"] =
            typed("extensions.filters.http.ext_proc.v3.ExtProcPerRoute", json!({ "disabled": true }));
    }
    let mut to = json!({ "cluster": cluster, "retry_policy": { "retry_on": "connect-failure", "num_retries": 1 } });
    let stage = match asks {
        "limits" => Some(0),
        "lost" => Some(1),
        _ => None,
    };
    if let Some(stage) = stage {
        let actions = json!([{ "generic_key": { "descriptor_value": name } }]);
        to["rate_limits"] = json!([{ "stage": stage, "actions": actions }]);
    }
    let prefix = if name == "all" { "/".to_owned() } else { format!("/{name}") };
    json!({
        "name": format!("httproute/shop/{name}/rule/0/match/0"), "match": { "prefix": prefix },
        "route": to, "typed_per_filter_config": of_filters,
    })
}

/// An access log of this kind for the exporter.
fn log(kind: &str) -> Value {
    let common = json!({
        "log_name": "accesslog/edge/eg", "transport_api_version": "V3", "grpc_service": called("log"),
        "buffer_flush_interval": "0.1s",
    });
    let name = format!("extensions.access_loggers.grpc.v3.{kind}GrpcAccessLogConfig");
    json!([{ "name": "log", "typed_config": typed(&name, json!({ "common_config": common })) }])
}

/// Passes connections on as bytes.
fn passed_on(cluster: &str) -> Value {
    let proxy = json!({ "stat_prefix": "tcp", "cluster": cluster, "access_log": log("Tcp") });
    let proxy = typed("extensions.filters.network.tcp_proxy.v3.TcpProxy", proxy);
    json!({ "filters": [{ "name": "tcp", "typed_config": proxy }] })
}

fn manager(prefix: &str) -> Value {
    let routes = json!([
        route("limited", "service/shop/cart/80", "limits"),
        route("counted", "service/shop/cart/80", "limits"),
        route("uncounted", "service/shop/cart/80", "lost"),
        route("private", "service/shop/cart/80", "logins"),
        // Where people come back from the provider.
        route("oauth2", "service/shop/cart/80", "logins"),
        route("guarded", "service/shop/cart/80", "firewall"),
        route("gone", "service/shop/gone/80", ""),
        route("slow", "service/shop/cart/80", ""),
        route("all", "service/shop/cart/80", ""),
    ]);
    typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": prefix, "http_filters": filters(),
            "access_log": log("Http"),
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] },
        }),
    )
}

fn overload() -> Value {
    let heap = json!({ "max_heap_size_bytes": "1000000000" });
    let heap = typed("extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", heap);
    json!({
        "refresh_interval": "0.1s",
        "resource_monitors": [{ "name": "envoy.resource_monitors.fixed_heap", "typed_config": heap }],
        "actions": [{
            "name": "envoy.overload_actions.stop_accepting_requests",
            "triggers": [{ "name": "envoy.resource_monitors.fixed_heap", "threshold": { "value": 0.95 } }],
        }],
    })
}

/// A cluster with one end point.
fn cluster(name: &str, address: &Value, more: Value) -> Value {
    let mut cluster = more;
    cluster["name"] = name.into();
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = json!({
        "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
    });
    cluster
}

fn at(address: &str) -> Value {
    let address: SocketAddr = address.parse().unwrap();
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

fn clusters(echo: SocketAddr, services: &Services<'_>) -> Vec<Value> {
    let http2 = json!({ "explicit_http_config": { "http2_protocol_options": {} } });
    let http2 = typed("extensions.upstreams.http.v3.HttpProtocolOptions", http2);
    let asked = |name: &str, address: &Value| {
        let options = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 });
        cluster(name, address, json!({ "typed_extension_protocol_options": options }))
    };
    let checked = json!({
        "outlier_detection": {},
        "health_checks": [{
            "timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
            "http_health_check": { "path": "/" },
        }],
    });
    let log = services.log.map_or_else(|| at(NOBODY), |socket| json!({ "pipe": { "path": socket } }));
    // Nothing is healthy there, and that's heeded.
    let mut gone = cluster("service/shop/gone/80", &at(NOBODY), checked.clone());
    gone["common_lb_config"] = json!({ "healthy_panic_threshold": { "value": 0.0 } });
    vec![
        cluster("service/shop/cart/80", &at(&echo.to_string()), checked),
        gone,
        asked("limits", &at(services.limits)),
        asked("logins", &at(services.logins)),
        asked("firewall", &at(services.firewall)),
        asked("log", &log),
        asked("control-plane", &at(NOBODY)),
    ]
}

/// The bootstrap, with the listeners `https` and `http`, and `tcp` and `nowhere` for connections of another kind.
pub(crate) fn bootstrap(echo: SocketAddr, identity: &Identity, services: &Services<'_>) -> String {
    let text = |text: &str| json!({ "inline_string": text });
    let pair = json!({ "certificate_chain": text(&identity.cert), "private_key": text(&identity.key) });
    let tls = json!({ "common_tls_context": { "tls_certificates": [pair] } });
    let tls = typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", tls);
    let filters = |prefix: &str| json!([{ "name": "http", "typed_config": manager(prefix) }]);
    let chain = json!({ "transport_socket": { "name": "tls", "typed_config": tls }, "filters": filters("https-443") });
    let listener = |name: &str, chain: &Value| {
        let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
        json!({ "name": name, "address": address, "filter_chains": [chain] })
    };
    let plane =
        json!({ "api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [called("control-plane")] });
    let bootstrap = json!({
        "node": { "id": "test", "cluster": "edge/eg" },
        "dynamic_resources": {
            "ads_config": plane,
            "cds_config": { "ads": {}, "initial_fetch_timeout": "0.1s", "resource_api_version": "V3" },
        },
        "overload_manager": overload(),
        "static_resources": {
            "clusters": clusters(echo, services),
            "listeners": [
                listener("https", &chain),
                listener("http", &json!({ "filters": filters("http-80") })),
                listener("tcp", &passed_on("service/shop/cart/80")),
                listener("nowhere", &passed_on("service/shop/gone/80")),
            ],
        },
    });
    bootstrap.to_string()
}
