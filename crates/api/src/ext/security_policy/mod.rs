//! `SecurityPolicy`: who may come in.

pub mod ext_auth;
pub mod oidc;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use self::{ext_auth::ExtAuth, oidc::Oidc};
use super::policy::{
    MergeType, PolicyTargetRef, SECURED, TargetSelector, merge_is_not_replace, merges_routes_only, names_targets,
    policy_spec, targets_are, targets_are_gateway_api,
};

/// What is asked of the clients of the targets.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.envoyproxy.io",
    version = "v1alpha1",
    kind = "SecurityPolicy",
    plural = "securitypolicies",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    shortname = "sp",
    category = "envoy-gateway",
    doc = "Who may use gateways and routes.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = names_targets())]
#[x_kube(validation = targets_are_gateway_api())]
#[x_kube(validation = targets_are(&SECURED))]
#[x_kube(validation = merges_routes_only(&SECURED))]
pub struct SecurityPolicySpec {
    /// The one target. Deprecated: use `targetRefs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<PolicyTargetRef>,
    /// The targets, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<PolicyTargetRef>,
    /// The targets, by label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_selectors: Vec<TargetSelector>,
    /// How it's merged into the policy of the parent, where it is about routes; it replaces that policy unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    #[x_kube(validation = merge_is_not_replace())]
    pub merge_type: Option<MergeType>,
    /// A service that is asked about each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_auth: Option<ExtAuth>,
    /// Whoever is not logged in is sent to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
}

policy_spec!(SecurityPolicySpec);
