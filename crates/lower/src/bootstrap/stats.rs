//! Readiness, and metrics: for Prometheus to fetch and to collectors.

use envoy::json;
use ir::{
    ClusterName, Gateway,
    api::ext::{
        common::{StringMatch, StringMatchType},
        envoy_proxy::metrics::{CompressionType, Metrics, OpenTelemetryMetrics},
    },
};
use serde_json::{Value, json};

use super::{Address, BootstrapError, address};
use crate::{cluster, convert::grpc_service, settings::Settings, telemetry};

/// The name of the cluster that is Envoy's own admin interface.
const ADMIN: &str = "admin";

/// What metrics put into the bootstrap.
pub(super) struct Stats {
    pub(super) sinks: Vec<Value>,
    pub(super) clusters: Vec<Value>,
    pub(super) config: Option<Value>,
}

/// Collectors, and which metrics there are.
pub(super) fn of(gateway: &Gateway) -> Result<Stats, BootstrapError> {
    let metrics = gateway.proxy.telemetry.as_ref().and_then(|telemetry| telemetry.metrics.as_ref());
    let mut stats = Stats { sinks: Vec::new(), clusters: Vec::new(), config: config(metrics) };
    for (sink, name) in metrics.into_iter().flat_map(|metrics| &metrics.sinks).zip(&gateway.telemetry.metrics) {
        let (Some(settings), Some(name)) = (&sink.open_telemetry, name) else { continue };
        let Some(cluster) = collector(gateway, name)? else { continue };
        stats.sinks.push(open_telemetry(settings, &cluster)?);
        stats.clusters.push(cluster);
    }
    stats.clusters.dedup();
    Ok(stats)
}

/// Envoy wants the clusters of its sinks to be there from the start: it gets a copy of the cluster, whose end points are
/// delivered as those of the original.
fn collector(gateway: &Gateway, name: &ClusterName) -> Result<Option<Value>, BootstrapError> {
    let Some(cluster) = gateway.clusters.get(name) else { return Ok(None) };
    let bytes = cluster::encode(cluster, cluster::ClusterOptions::default(), &Settings::default());
    let mut copy = json::to_json(envoy::type_url::CLUSTER, &bytes)?;
    copy["name"] = json!(format!("metrics/{name}"));
    if let Some(config) = copy.get_mut("eds_cluster_config") {
        config["service_name"] = json!(name);
    }
    Ok(Some(copy))
}

fn open_telemetry(settings: &OpenTelemetryMetrics, cluster: &Value) -> Result<Value, BootstrapError> {
    use envoy::ext::stat_sink::open_telemetry as otlp;
    let mut service = grpc_service(cluster["name"].as_str().unwrap_or_default(), "", None);
    service.initial_metadata = telemetry::call_headers(&settings.headers);
    let sink = otlp::SinkConfig {
        report_counters_as_deltas: settings.report_counters_as_deltas.unwrap_or_default(),
        report_histograms_as_deltas: settings.report_histograms_as_deltas.unwrap_or_default(),
        resource_detectors: telemetry::resource(&settings.resource_attributes),
        protocol_specifier: Some(otlp::sink_config::ProtocolSpecifier::GrpcService(service)),
        ..Default::default()
    };
    let mut typed = json::of(&sink)?;
    typed["@type"] = json!(envoy::type_url::<otlp::SinkConfig>());
    Ok(json!({"name": "envoy.stat_sinks.open_telemetry", "typed_config": typed}))
}

fn config(metrics: Option<&Metrics>) -> Option<Value> {
    let matches = metrics.map(|metrics| metrics.matches.as_slice()).unwrap_or_default();
    if matches.is_empty() {
        return None;
    }
    let pattern = |pattern: &StringMatch| match pattern.r#type {
        StringMatchType::Exact => json!({"exact": pattern.value}),
        StringMatchType::Prefix => json!({"prefix": pattern.value}),
        StringMatchType::Suffix => json!({"suffix": pattern.value}),
        StringMatchType::RegularExpression => json!({"safe_regex": {"regex": pattern.value}}),
    };
    Some(json!({"stats_matcher": {"inclusion_list": {"patterns": matches.iter().map(pattern).collect::<Vec<_>>()}}}))
}

/// Envoy's admin interface as a cluster.
pub(super) fn admin_cluster(admin: &Address) -> Value {
    json!({
        "name": ADMIN,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": ADMIN, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(admin)}}]}]},
    })
}

/// Answers `/ready`: 200 while Envoy serves, 503 from when it drains.
pub(super) fn ready_listener(at: &Address) -> Value {
    let health = json!({
        "name": "envoy.filters.http.health_check",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck",
            "pass_through_mode": false,
            "headers": [{"name": ":path", "string_match": {"exact": "/ready"}}],
        },
    });
    listener("ready", at, &[health], &json!({"name": "ready", "domains": ["*"]}))
}

/// Answers `/stats/prometheus` and nothing else of the admin interface.
pub(super) fn metrics_listener(at: &Address, gateway: &Gateway) -> Value {
    let metrics = gateway.proxy.telemetry.as_ref().and_then(|telemetry| telemetry.metrics.as_ref());
    let compression = metrics.and_then(|metrics| metrics.prometheus.as_ref()?.compression.as_ref());
    let compressor = compression.map(|settings| {
        let (library, message) = match settings.r#type {
            CompressionType::Gzip => ("gzip", "gzip.compressor.v3.Gzip"),
            CompressionType::Brotli => ("brotli", "brotli.compressor.v3.Brotli"),
            CompressionType::Zstd => ("zstd", "zstd.compressor.v3.Zstd"),
        };
        let least = settings.min_content_length.as_ref().and_then(|length| length.bytes().ok()).unwrap_or(30);
        json!({
            "name": "envoy.filters.http.compressor",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor",
                "response_direction_config": {"common_config": {"min_content_length": least}},
                "compressor_library": {
                    "name": library,
                    "typed_config": {"@type": format!("type.googleapis.com/envoy.extensions.compression.{message}")},
                },
            },
        })
    });
    let filters: Vec<Value> = compressor.into_iter().collect();
    let routes = json!([{"match": {"path": "/stats/prometheus"}, "route": {"cluster": ADMIN}}]);
    listener("metrics", at, &filters, &json!({"name": "metrics", "domains": ["*"], "routes": routes}))
}

fn listener(name: &str, at: &Address, filters: &[Value], host: &Value) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    json!({
        "name": name,
        "address": address(at),
        // Not for the public, whose connections are limited.
        "ignore_global_conn_limit": true,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": name,
                "normalize_path": true,
                "http_filters": filters,
                "route_config": {"name": name, "virtual_hosts": [host]},
            },
        }]}],
    })
}
