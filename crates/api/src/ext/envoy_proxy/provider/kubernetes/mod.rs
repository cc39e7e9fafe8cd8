//! Envoy in Kubernetes: what its objects are made of, one file an object.

mod patch;
mod scaling;
mod schema;
mod service;
mod workload;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    patch::{KubernetesPatch, PatchType},
    scaling::{EnvoyHpa, EnvoyPdb},
    service::{EnvoyService, ExternalTrafficPolicy, ServiceType},
    workload::{EnvoyContainer, EnvoyDaemonSet, EnvoyDeployment, EnvoyPod},
};

/// Envoy in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.envoyDeployment) && has(self.envoyDaemonSet))")
    .message("Envoy is run as a Deployment or as a DaemonSet: set `envoyDeployment` or `envoyDaemonSet`, not both"))]
#[x_kube(validation = Rule::new("!(has(self.envoyHpa) && has(self.envoyDaemonSet))")
    .message("a DaemonSet is not scaled: set `envoyHpa` or `envoyDaemonSet`, not both"))]
pub struct KubernetesProvider {
    /// Envoy as a Deployment; it is one unless `envoyDaemonSet` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envoy_deployment: Option<EnvoyDeployment>,
    /// Envoy as a DaemonSet: one on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envoy_daemon_set: Option<EnvoyDaemonSet>,
    /// The Service in front of the Envoys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envoy_service: Option<EnvoyService>,
    /// Scales the Deployment by load; nothing does unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envoy_hpa: Option<EnvoyHpa>,
    /// How many Envoys may be evicted at once; as many as there are unless set.
    #[serde(rename = "envoyPDB", skip_serializing_if = "Option::is_none")]
    pub envoy_pdb: Option<EnvoyPdb>,
    /// The account of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envoy_service_account: Option<EnvoyServiceAccount>,
    /// Whether Envoy listens at the listeners' own ports. Unless set those below 1024, which only root may bind, are
    /// 10000 higher inside of the pod; the Service has the listeners' own ports either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_listener_port_as_container_port: Option<bool>,
}

/// The account of the pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyServiceAccount {
    /// Its name; that of the fleet unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
