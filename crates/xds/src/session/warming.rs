//! Clusters that wait for their endpoints.
//!
//! Envoy takes a new or changed cluster into service when its endpoints have come after it. It asks for those of a new
//! cluster; those of a changed one it has subscribed to already, so in delta it says nothing, waits fifteen seconds and
//! then goes on without endpoints. Therefore they are sent again after the cluster, changed or not. Once it is up, Envoy
//! also keeps back its acknowledgement of clusters until they are warm: endpoints must not wait for that.

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy::endpoint::ClusterLoadAssignment;
use prost::Message;

use crate::resource::{Name, Resource};

/// `envoy.config.cluster.v3.Cluster.DiscoveryType.EDS`.
const EDS: i32 = 3;

/// The few fields of a cluster that say where its endpoints come from; decoding skips the rest.
#[derive(Clone, PartialEq, Message)]
struct ClusterView {
    #[prost(int32, tag = "2")]
    discovery_type: i32,
    #[prost(message, optional, tag = "3")]
    eds_cluster_config: Option<EdsView>,
}

#[derive(Clone, PartialEq, Message)]
struct EdsView {
    #[prost(string, tag = "2")]
    service_name: String,
}

/// Endpoint names that sent clusters will ask for and have not asked for yet. Routes wait for them.
#[derive(Debug, Default)]
pub(super) struct Warming {
    expected: BTreeSet<Name>,
}

impl Warming {
    pub(super) fn is_over(&self) -> bool {
        self.expected.is_empty()
    }

    pub(super) fn expect(&mut self, endpoints: Name) {
        self.expected.insert(endpoints);
    }

    /// What was asked for is from then on the endpoints' own affair.
    pub(super) fn forget(&mut self, is_asked_for: impl Fn(&str) -> bool) {
        self.expected.retain(|name| !is_asked_for(name));
    }

    pub(super) fn give_up(&mut self) {
        self.expected.clear();
    }
}

/// The name under which a cluster's endpoints are discovered; `None` when they are not.
pub(super) fn endpoints_of(name: &Name, cluster: &Resource) -> Option<Name> {
    let view = ClusterView::decode(cluster.body().as_ref()).ok()?;
    let config = (view.discovery_type == EDS).then_some(view.eds_cluster_config)?.unwrap_or_default();
    Some(if config.service_name.is_empty() { name.clone() } else { Name::from(config.service_name) })
}

/// Endpoints of a cluster that has none.
pub(super) fn no_endpoints(name: &Name) -> Arc<Resource> {
    let assignment = ClusterLoadAssignment { cluster_name: name.to_string(), ..ClusterLoadAssignment::default() };
    Arc::new(Resource::new(assignment.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use envoy::cluster::{Cluster, cluster};

    use super::*;

    fn endpoints(discovery: cluster::DiscoveryType, service_name: &str) -> Option<Name> {
        let config = cluster::EdsClusterConfig { service_name: service_name.to_owned(), ..Default::default() };
        let message = Cluster {
            name: "c".to_owned(),
            cluster_discovery_type: Some(cluster::ClusterDiscoveryType::Type(discovery as i32)),
            eds_cluster_config: Some(config),
            ..Default::default()
        };
        endpoints_of(&Name::from("c"), &Resource::new(message.encode_to_vec()))
    }

    #[test]
    fn endpoints_have_the_service_name_or_the_clusters() {
        assert_eq!(endpoints(cluster::DiscoveryType::Eds, ""), Some(Name::from("c")));
        assert_eq!(endpoints(cluster::DiscoveryType::Eds, "s"), Some(Name::from("s")));
        assert_eq!(endpoints(cluster::DiscoveryType::StrictDns, "s"), None);
        assert_eq!(endpoints_of(&Name::from("c"), &Resource::new("no cluster")), None);
    }
}
