//! The Service in front of the Envoys.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KubernetesPatch;

/// An IPv4 address, as the rule of `loadBalancerIP` has it.
const IPV4: &str =
    r#"self.matches(r"^((25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$")"#;

/// The Service in front of the Envoys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.allocateLoadBalancerNodePorts) || self.type == 'LoadBalancer'")
    .message("`allocateLoadBalancerNodePorts` needs `type: LoadBalancer`"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerSourceRanges) || self.type == 'LoadBalancer'")
    .message("`loadBalancerSourceRanges` needs `type: LoadBalancer`"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerIP) || self.type == 'LoadBalancer'")
    .message("`loadBalancerIP` needs `type: LoadBalancer`"))]
pub struct EnvoyService {
    /// Who reaches it.
    #[serde(default)]
    pub r#type: ServiceType,
    /// Annotations, which load balancers often read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The load balancer that it's for, where there are several. It cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// Whether a load balancer comes through ports of the nodes; it does unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocate_load_balancer_node_ports: Option<bool>,
    /// Addresses (CIDR) that the load balancer lets in; all unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// The load balancer's address.
    #[serde(rename = "loadBalancerIP", skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(IPV4).message("`loadBalancerIP` is an IPv4 address such as 192.0.2.1"))]
    pub load_balancer_ip: Option<String>,
    /// Where a node's traffic from outside goes.
    #[serde(default)]
    pub external_traffic_policy: ExternalTrafficPolicy,
    /// A change of the object, made after all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<KubernetesPatch>,
    /// The object's name; that of the fleet unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Who reaches a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// The cluster.
    ClusterIP,
    /// Everybody, by a load balancer.
    #[default]
    LoadBalancer,
    /// Whoever reaches a node.
    NodePort,
}

/// Where a node's traffic from outside goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To Envoys of this node: they see the client's address.
    #[default]
    Local,
    /// To any Envoy: they see a node's address.
    Cluster,
}
