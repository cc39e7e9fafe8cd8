//! Connections as bytes.

use envoy::{
    ext::network::tcp_proxy::{
        self as envoy_tcp,
        tcp_proxy::{ClusterSpecifier, WeightedCluster, weighted_cluster::ClusterWeight},
    },
    listener::Filter,
};
use ir::TcpProxy;

use super::network_filter;
use crate::{access_log, scope::Scope};

/// A cluster that is never there: connections to it are closed at once.
const UNRESOLVED: &str = "unresolved";

/// Sends connections to clusters by weight.
pub(super) fn filter(scope: &Scope<'_>, proxy: &TcpProxy) -> Filter {
    let TcpProxy { name, clusters } = proxy;
    let name_of = |share: &ir::WeightedCluster| share.cluster.as_deref().unwrap_or(UNRESOLVED).to_owned();
    let shares: Vec<_> = clusters.iter().filter(|share| share.weight > 0).collect();
    let specifier = match shares.as_slice() {
        [] => ClusterSpecifier::Cluster(UNRESOLVED.to_owned()),
        [only] => ClusterSpecifier::Cluster(name_of(only)),
        several => {
            let weight = |share: &&ir::WeightedCluster| ClusterWeight {
                name: name_of(share),
                weight: share.weight,
                ..Default::default()
            };
            ClusterSpecifier::WeightedClusters(WeightedCluster { clusters: several.iter().map(weight).collect() })
        }
    };
    let proxy = envoy_tcp::TcpProxy {
        stat_prefix: name.to_string(),
        cluster_specifier: Some(specifier),
        access_log: access_log::of_connections(scope),
        ..Default::default()
    };
    network_filter("envoy.filters.network.tcp_proxy", &proxy)
}
