//! The Envoys themselves.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{DaemonSetUpdateStrategy, DeploymentStrategy},
    core::v1::{
        Affinity, Container, EnvVar, LocalObjectReference, PodSecurityContext, ResourceRequirements, SecurityContext,
        Toleration, TopologySpreadConstraint, Volume, VolumeMount,
    },
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KubernetesPatch, schema::terse};

/// Envoy as a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyDeployment {
    /// A change of the object, made after all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<KubernetesPatch>,
    /// How many there are; one, or what somebody else says, unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How old pods are replaced by new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub strategy: Option<DeploymentStrategy>,
    /// The pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<EnvoyPod>,
    /// The container that Envoy runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<EnvoyContainer>,
    /// Containers that end before Envoy starts, or go on beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub init_containers: Vec<Container>,
    /// The object's name; that of the fleet unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Envoy as a DaemonSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyDaemonSet {
    /// A change of the object, made after all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<KubernetesPatch>,
    /// How old pods are replaced by new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub strategy: Option<DaemonSetUpdateStrategy>,
    /// The pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<EnvoyPod>,
    /// The container that Envoy runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<EnvoyContainer>,
    /// The object's name; that of the fleet unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The pods that Envoys run in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyPod {
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the pods may do, in place of the usual: no root, the runtime's own seccomp profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub security_context: Option<PodSecurityContext>,
    /// The nodes and neighbours that they like.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub affinity: Option<Affinity>,
    /// The taints that they bear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub tolerations: Vec<Toleration>,
    /// Volumes beside ours, for `container.volumeMounts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub volumes: Vec<Volume>,
    /// Secrets to fetch images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// The labels of the nodes that they may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// How they spread over nodes and zones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Who goes first where there's too little of something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
}

/// The container that Envoy runs in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.image) || !has(self.imageRepository)")
    .message("set one of `image` and `imageRepository`"))]
pub struct EnvoyContainer {
    /// Environment variables beside ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub env: Vec<EnvVar>,
    /// What Envoy asks for and may use at most, in place of the usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub resources: Option<ResourceRequirements>,
    /// What Envoy may do, in place of the usual: nothing that needs a privilege.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = terse)]
    pub security_context: Option<SecurityContext>,
    /// Envoy's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9._-]+(:[0-9]+)?(/[a-zA-Z0-9._/-]+)?(:[a-zA-Z0-9._-]+)?(@sha256:[a-z0-9]+)?$')")
        .message("an image is written as repository:tag, and may have a digest"))]
    pub image: Option<String>,
    /// The repository of Envoy's image; its tag stays the usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9._-]+(:[0-9]+)?[a-zA-Z0-9._/-]+$')")
        .message("a repository is written without tag and digest"))]
    pub image_repository: Option<String>,
    /// Mounts beside ours, of `pod.volumes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = terse)]
    pub volume_mounts: Vec<VolumeMount>,
}
