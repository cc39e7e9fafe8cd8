//! One fleet of Envoys with one configuration.

use std::{collections::BTreeMap, sync::Arc};

use api::{ObjectRef, ext::envoy_proxy::EnvoyProxySpec};

use crate::{Cluster, ClusterName, Listener, Protocol, Route, Secret, SecretName, Transport};

/// What one fleet of Envoys serves: a Gateway, or all Gateways of a class whose `EnvoyProxy` says `mergeGateways`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// `namespace/name` of the Gateway, or the name of the class when gateways are merged. Also the xDS node group.
    pub name: Arc<str>,
    /// The Gateways that are served, in order of age.
    pub gateways: Vec<ObjectRef>,
    /// The sockets, ordered by name.
    pub listeners: Vec<Arc<Listener>>,
    /// The back ends that something refers to.
    pub clusters: Arc<BTreeMap<ClusterName, Arc<Cluster>>>,
    /// The certificates and CAs that something refers to.
    pub secrets: Arc<BTreeMap<SecretName, Arc<Secret>>>,
    /// How the Envoys are run: the settings that need no lookup travel as their API type.
    pub proxy: Arc<EnvoyProxySpec>,
    /// The clusters that telemetry goes to.
    pub telemetry: Telemetry,
    /// Where the rate limit service is, when a policy needs one.
    pub rate_limit_service: Option<ClusterName>,
}

impl Gateway {
    /// The routes of all tables; one of a table that several listeners share comes as often.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        let chains = self.listeners.iter().flat_map(|listener| match &listener.transport {
            Transport::Tcp(chains) => chains.as_slice(),
            Transport::Udp(_) => &[],
        });
        let tables = chains.filter_map(|chain| match &chain.protocol {
            Protocol::Http(http) => Some(&http.routes),
            Protocol::Tcp(_) => None,
        });
        tables.flat_map(|table| &table.hosts).flat_map(|host| &host.routes).map(AsRef::as_ref)
    }
}

/// The clusters of the telemetry sinks of [`Gateway::proxy`], in the order in which the settings list them. `None`
/// stands for a sink that needs no cluster or whose back end does not resolve: it is left out, the rest works.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// For each access log setting, for each sink.
    pub access_logs: Vec<Vec<Option<ClusterName>>>,
    /// For each metrics sink.
    pub metrics: Vec<Option<ClusterName>>,
    /// The tracing provider.
    pub tracing: Option<ClusterName>,
}
