//! How the end points of a cluster are found.

use envoy::{
    cluster::{
        Cluster,
        cluster::{
            ClusterDiscoveryType, CustomClusterType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbPolicy,
        },
    },
    endpoint::ClusterLoadAssignment,
    ext::clusters::{
        dns::DnsCluster,
        dns_common::DnsLookupFamily as ClusterLookupFamily,
        dynamic_forward_proxy::{ClusterConfig, cluster_config::ClusterImplementationSpecifier},
    },
};
use ir::{Discovery, DnsEndpoint, IpFamily};

use crate::{convert::ads, endpoints, filters::dynamic_forward_proxy::dns_cache};

/// Fills in how end points are found.
pub(super) fn find(discovery: &Discovery, cluster: &mut Cluster) {
    match discovery {
        Discovery::Delivered(_) => {
            cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into()));
            cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config: Some(ads()), ..Default::default() });
        }
        Discovery::Dns { endpoints, family } => {
            let config = DnsCluster {
                // Names are asked for anew when their records expire.
                respect_dns_ttl: true,
                dns_lookup_family: dns_family(*family).into(),
                ..Default::default()
            };
            cluster.load_assignment = Some(assignment(&cluster.name, endpoints));
            cluster.cluster_discovery_type = custom("envoy.cluster.dns", &config);
        }
        Discovery::Dynamic { family } => {
            let config = ClusterConfig {
                cluster_implementation_specifier: Some(ClusterImplementationSpecifier::DnsCacheConfig(dns_cache(
                    *family,
                ))),
                ..Default::default()
            };
            cluster.lb_policy = LbPolicy::ClusterProvided.into();
            cluster.cluster_discovery_type = custom("envoy.clusters.dynamic_forward_proxy", &config);
        }
    }
}

fn custom<M: envoy::Message + envoy::Name>(name: &str, config: &M) -> Option<ClusterDiscoveryType> {
    let custom = CustomClusterType { name: name.to_owned(), typed_config: Some(envoy::any(config)) };
    Some(ClusterDiscoveryType::ClusterType(custom))
}

fn assignment(cluster: &str, endpoints: &[DnsEndpoint]) -> ClusterLoadAssignment {
    let name = |endpoint: &DnsEndpoint| endpoints::Named {
        hostname: endpoint.hostname.clone(),
        port: endpoint.port,
        zone: endpoint.zone.clone(),
        weight: endpoint.weight,
        priority: endpoint.priority,
    };
    endpoints::of_names(cluster, endpoints.iter().map(name).collect())
}

/// The records that are asked for, where Envoy keeps the answers itself.
pub(crate) fn lookup_family(family: IpFamily) -> DnsLookupFamily {
    match family {
        IpFamily::V4 => DnsLookupFamily::V4Only,
        IpFamily::V6 => DnsLookupFamily::V6Only,
        IpFamily::Dual => DnsLookupFamily::All,
    }
}

/// With `All` each address is an end point of its own, also one that this machine cannot reach: only for who asks for it.
fn dns_family(family: Option<IpFamily>) -> ClusterLookupFamily {
    match family {
        None => ClusterLookupFamily::V4Preferred,
        Some(IpFamily::V4) => ClusterLookupFamily::V4Only,
        Some(IpFamily::V6) => ClusterLookupFamily::V6Only,
        Some(IpFamily::Dual) => ClusterLookupFamily::All,
    }
}
