//! `provider.kubernetes`: how fleets of Envoys are deployed.

use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::{Deserialize, Serialize};

/// Where the objects of a fleet are put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesDeploy {
    /// The namespace; the controller's unless set.
    #[serde(default)]
    pub r#type: KubernetesDeployType,
}

/// Where the objects of a fleet are put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KubernetesDeployType {
    /// Into the controller's namespace: it needs rights in no other.
    #[default]
    ControllerNamespace,
    /// Into the Gateway's namespace. Those of merged Gateways stay in the controller's.
    GatewayNamespace,
}

/// The container beside Envoy that lets it finish what it has before it ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShutdownManager {
    /// Its image; the controller's own unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What it asks for and may use at most, in place of the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}
