//! How many Envoys there are.

use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{KubernetesPatch, schema::terse};

/// Scales the Deployment by load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minReplicas) || self.maxReplicas >= self.minReplicas")
    .message("`maxReplicas` cannot be less than `minReplicas`"))]
pub struct EnvoyHpa {
    /// The fewest; 1 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self > 0").message("at least one Envoy is needed"))]
    pub min_replicas: Option<i32>,
    /// The most.
    #[x_kube(validation = Rule::new("self > 0").message("at least one Envoy is needed"))]
    pub max_replicas: i32,
    /// What load is; four fifths of the requested CPU unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub metrics: Vec<MetricSpec>,
    /// How fast the number changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
    /// A change of the object, made after all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<KubernetesPatch>,
    /// The object's name; that of the fleet unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How many Envoys may be evicted at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.minAvailable) != has(self.maxUnavailable)")
    .message("set one of `minAvailable` and `maxUnavailable`"))]
pub struct EnvoyPdb {
    /// How many stay, as a number or in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub min_available: Option<IntOrString>,
    /// How many may go, as a number or in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub max_unavailable: Option<IntOrString>,
    /// A change of the object, made after all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<KubernetesPatch>,
    /// The object's name; that of the fleet unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
