//! Back ends.

mod discovery;
mod near;
mod protocol;

use bytes::Bytes;
use envoy::{
    Message,
    cluster::{
        self as envoy_cluster, CircuitBreakers, OutlierDetection, TrackClusterStats, UpstreamConnectionOptions,
        circuit_breakers::Thresholds,
        cluster::{
            CommonLbConfig, LbPolicy,
            common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig},
        },
    },
    core::TcpKeepalive,
    types::Percent,
};
use ir::{Cluster, Discovery, EndpointGroup};

pub(crate) use self::discovery::lookup_family;
use crate::{convert::seconds, scope::Scope, settings::Settings, tls};

/// What Envoy holds for a connection that is slower than the other side, as its guide for edge proxies has it.
const BUFFER_BYTES: u32 = 32 << 10;

/// How many tries may be under way at once beside the first ones. Envoy's default of 3 would make the retries of routes
/// useless under load; as Envoy Gateway has it.
const MOST_RETRIES: u32 = 1024;

/// What else the encoding of a cluster depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterOptions {
    /// End points are counted one by one.
    per_endpoint_stats: bool,
    /// The sizes of requests and answers are measured.
    sizes: bool,
}

impl ClusterOptions {
    pub(crate) fn of(scope: &Scope<'_>) -> Self {
        let metrics = scope.metrics();
        Self {
            per_endpoint_stats: metrics.and_then(|metrics| metrics.enable_per_endpoint_stats).unwrap_or_default(),
            sizes: metrics.and_then(|metrics| metrics.enable_request_response_sizes_stats).unwrap_or_default(),
        }
    }
}

/// The encoded cluster.
pub(crate) fn encode(cluster: &Cluster, options: ClusterOptions, settings: &Settings) -> Bytes {
    lower(cluster, options, settings).encode_to_vec().into()
}

fn lower(cluster: &Cluster, options: ClusterOptions, settings: &Settings) -> envoy_cluster::Cluster {
    let Cluster { name, discovery, protocol, tls, connect_timeout, ejects_failing, sources: _ } = cluster;
    let mut lowered = envoy_cluster::Cluster {
        name: name.to_string(),
        connect_timeout: Some(envoy::duration(*connect_timeout)),
        per_connection_buffer_limit_bytes: Some(BUFFER_BYTES),
        lb_policy: LbPolicy::LeastRequest.into(),
        load_balancing_policy: prefers_near(cluster).then(near::policy),
        common_lb_config: lb_config(cluster),
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![Thresholds { max_retries: Some(MOST_RETRIES), ..Default::default() }],
            ..Default::default()
        }),
        // An end point that is gone is gone at once; its health is not asked any more.
        ignore_health_on_host_removal: true,
        outlier_detection: ejects_failing.then(outlier_detection),
        upstream_connection_options: Some(UpstreamConnectionOptions {
            tcp_keepalive: Some(keepalive()),
            ..Default::default()
        }),
        transport_socket: tls.as_ref().map(|tls| tls::upstream(tls, &settings.system_authorities)),
        typed_extension_protocol_options: protocol::options(*protocol, discovery, tls.as_ref()),
        track_cluster_stats: (options != ClusterOptions::default()).then_some(TrackClusterStats {
            request_response_sizes: options.sizes,
            per_endpoint_stats: options.per_endpoint_stats,
            ..Default::default()
        }),
        ..Default::default()
    };
    discovery::find(discovery, &mut lowered);
    lowered
}

/// A connection whose other end vanished without a word is found out within a minute and a half, instead of two hours.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive { keepalive_time: Some(60), keepalive_interval: Some(10), keepalive_probes: Some(3) }
}

fn lb_config(cluster: &Cluster) -> Option<CommonLbConfig> {
    let weighted = match &cluster.discovery {
        Discovery::Delivered(groups) => groups.iter().any(|group| group.weight.is_some()),
        Discovery::Dns { endpoints, .. } => endpoints.iter().any(|endpoint| endpoint.weight.is_some()),
        Discovery::Dynamic { .. } => false,
    };
    let by_weight = LocalityWeightedLbConfig {};
    (weighted || cluster.ejects_failing).then(|| CommonLbConfig {
        // When most end points of a priority fail, Envoy would ignore that and use them all: here the next one waits.
        healthy_panic_threshold: cluster.ejects_failing.then_some(Percent { value: 0.0 }),
        // Groups and names are Envoy's localities, see `endpoints`.
        locality_config_specifier: weighted.then_some(LocalityConfigSpecifier::LocalityWeightedLbConfig(by_weight)),
        ..Default::default()
    })
}

fn prefers_near(cluster: &Cluster) -> bool {
    matches!(&cluster.discovery, Discovery::Delivered(groups) if groups.iter().any(EndpointGroup::prefers_near))
}

/// An end point that cannot be reached, or says that what is behind it cannot, is left out for a while; all of them may be.
/// Answers of 500 are the application's and no sign that another end point does better.
fn outlier_detection() -> OutlierDetection {
    OutlierDetection {
        consecutive_gateway_failure: Some(3),
        enforcing_consecutive_gateway_failure: Some(100),
        enforcing_consecutive_5xx: Some(0),
        enforcing_success_rate: Some(0),
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: Some(2),
        enforcing_local_origin_success_rate: Some(0),
        interval: seconds(2),
        base_ejection_time: seconds(10),
        max_ejection_percent: Some(100),
        ..Default::default()
    }
}
