//! Where Envoy is run.

pub mod kubernetes;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::kubernetes::KubernetesProvider;

/// Where Envoy is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// On this machine, or in Kubernetes.
    pub r#type: ProviderType,
    /// With `type: Host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostProvider>,
    /// With `type: Kubernetes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesProvider>,
}

/// Where Envoy is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProviderType {
    /// In Kubernetes.
    Kubernetes,
    /// As a process on this machine.
    Host,
}

/// Envoy as a process on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostProvider {}
