//! `ServiceImport` (KEP-1645): a service of a set of clusters. Its definition is not ours to install, and often not there.

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// What of a `ServiceImport` routing reads.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "multicluster.x-k8s.io",
    version = "v1alpha1",
    kind = "ServiceImport",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    doc = "A service of a set of clusters, that routes and policies can refer to as to a Service."
)]
pub struct ServiceImportSpec {
    /// Its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServiceImportPort>,
    /// Its own addresses in this cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
    /// `ClusterSetIP`, or `Headless` without addresses of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Which families its addresses have; end points say that themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_families: Vec<String>,
    /// As in a Service: which end points are taken first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_distribution: Option<String>,
    /// As in a Service, for kube-proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_traffic_policy: Option<String>,
    /// As in a Service, for kube-proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity: Option<String>,
    /// As in a Service, for kube-proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity_config: Option<serde_json::Value>,
}

/// A port of a `ServiceImport`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceImportPort {
    /// Its name, which the ports of its EndpointSlices have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `TCP` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What is spoken, as in a Service (KEP-3726).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// Its number.
    pub port: i32,
}

impl ServiceImportSpec {
    /// The Service that it is, seen from this cluster.
    pub fn as_service(&self) -> ServiceSpec {
        let headless = self.r#type.as_deref() == Some("Headless");
        let ports = self.ports.iter().map(|port| ServicePort {
            name: port.name.clone(),
            protocol: port.protocol.clone(),
            app_protocol: port.app_protocol.clone(),
            port: port.port,
            ..ServicePort::default()
        });
        ServiceSpec {
            ports: Some(ports.collect()),
            cluster_ip: self.ips.first().filter(|_| !headless).cloned(),
            traffic_distribution: self.traffic_distribution.clone(),
            ..ServiceSpec::default()
        }
    }
}
