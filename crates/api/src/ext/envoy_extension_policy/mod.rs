//! `EnvoyExtensionPolicy`: code of others in the path of requests.

pub mod ext_proc;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use self::ext_proc::ExtProc;
use super::policy::{
    ANY_ROUTE, MergeType, PolicyTargetRef, TargetSelector, merge_is_not_replace, merges_routes_only, names_targets,
    policy_spec, targets_are, targets_are_gateway_api,
};

/// What stands in the path of the targets' requests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.envoyproxy.io",
    version = "v1alpha1",
    kind = "EnvoyExtensionPolicy",
    plural = "envoyextensionpolicies",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    shortname = "eep",
    doc = "Extensions in the path of requests of gateways and routes.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = names_targets())]
#[x_kube(validation = targets_are_gateway_api())]
#[x_kube(validation = targets_are(&ANY_ROUTE))]
#[x_kube(validation = merges_routes_only(&ANY_ROUTE))]
pub struct EnvoyExtensionPolicySpec {
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
    /// Services that see requests and answers and may change them, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub ext_proc: Vec<ExtProc>,
}

policy_spec!(EnvoyExtensionPolicySpec);
