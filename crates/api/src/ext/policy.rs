//! What all policies have in common: which resources they are about, and how they meet others.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::{
    KubeSchema,
    core::{Message, Rule},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{GROUP_PATTERN, HOSTNAME_PATTERN, KIND_PATTERN};

/// The part of a policy's spec that attachment reads.
pub trait PolicySpec {
    /// The one target of the older form, then the targets by name.
    fn target_refs(&self) -> impl Iterator<Item = &PolicyTargetRef>;

    /// The targets by label.
    fn target_selectors(&self) -> &[TargetSelector];

    /// How it's merged into the policy of the parent, if it is.
    fn merge_type(&self) -> Option<MergeType>;
}

/// Implements [`PolicySpec`] for a spec that has the four fields.
macro_rules! policy_spec {
    ($spec:ty) => {
        impl $crate::ext::policy::PolicySpec for $spec {
            fn target_refs(&self) -> impl Iterator<Item = &$crate::ext::policy::PolicyTargetRef> {
                self.target_ref.iter().chain(&self.target_refs)
            }

            fn target_selectors(&self) -> &[$crate::ext::policy::TargetSelector] {
                &self.target_selectors
            }

            fn merge_type(&self) -> Option<$crate::ext::policy::MergeType> {
                self.merge_type
            }
        }
    };
}
pub(crate) use policy_spec;

/// A resource, or a section of it, that a policy is about. It's in the policy's namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTargetRef {
    /// The API group: `gateway.networking.k8s.io`.
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// The kind, such as `Gateway` or `HTTPRoute`.
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// A listener of a Gateway or ListenerSet, or a rule of a route, by its name; all of them unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOSTNAME_PATTERN))]
    pub section_name: Option<String>,
}

/// Resources that a policy is about, by their labels. Without labels and expressions, all of the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.group) ? self.group == 'gateway.networking.k8s.io' : true")
    .message("only Gateway API resources can be selected: leave `group` out"))]
pub struct TargetSelector {
    /// The API group; `gateway.networking.k8s.io` unless set.
    #[serde(default = "gateway_group")]
    #[schemars(length(max = 253), regex(pattern = GROUP_PATTERN))]
    pub group: String,
    /// The kind, such as `Gateway` or `HTTPRoute`.
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND_PATTERN))]
    pub kind: String,
    /// Labels that a resource must have, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions on a resource's labels; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<MatchExpression>,
    /// The namespaces in which resources are selected; the policy's own unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<TargetNamespaces>,
}

fn gateway_group() -> String {
    crate::gateway::GROUP.to_owned()
}

impl TargetSelector {
    /// The conditions on a resource's labels.
    pub fn labels(&self) -> LabelSelector {
        label_selector(&self.match_labels, &self.match_expressions)
    }
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchExpression {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values of `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// Namespaces in which targets are selected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["from"]))]
#[x_kube(validation = Rule::new("self.from != 'Selector' || has(self.selector)")
    .message("`from: Selector` needs a `selector`"))]
pub struct TargetNamespaces {
    /// Which namespaces.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// The labels of the namespaces, with `from: Selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Which namespaces a selector looks into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The policy's own.
    #[default]
    Same,
    /// All. The other namespaces must grant it by a ReferenceGrant.
    All,
    /// Those with certain labels. They must grant it by a ReferenceGrant.
    Selector,
}

/// Namespaces by their labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions on a namespace's labels; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<MatchExpression>,
}

impl NamespaceSelector {
    /// The conditions on a namespace's labels.
    pub fn labels(&self) -> LabelSelector {
        label_selector(&self.match_labels, &self.match_expressions)
    }
}

fn label_selector(labels: &BTreeMap<String, String>, expressions: &[MatchExpression]) -> LabelSelector {
    let requirement = |expression: &MatchExpression| LabelSelectorRequirement {
        key: expression.key.clone(),
        operator: expression.operator.clone(),
        values: Some(expression.values.clone()),
    };
    LabelSelector {
        match_labels: Some(labels.clone()),
        match_expressions: Some(expressions.iter().map(requirement).collect()),
    }
}

/// How a policy of a route is merged into the policy of its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MergeType {
    /// Maps are merged field by field; lists with a key are merged by it, other lists are replaced.
    StrategicMerge,
    /// RFC 7386: maps are merged field by field, lists are replaced.
    JSONMerge,
}

/// Kinds that a policy may be about, and those of them that are routes: CEL lists.
pub(crate) struct Targets {
    /// All of them.
    pub(crate) all: &'static str,
    /// Those that can be merged into the policy of a parent.
    pub(crate) routes: &'static str,
}

/// The targets of a policy for any traffic.
pub(crate) const ANY_ROUTE: Targets = Targets {
    all: "['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'UDPRoute', 'TCPRoute', 'TLSRoute']",
    routes: "['HTTPRoute', 'GRPCRoute', 'UDPRoute', 'TCPRoute', 'TLSRoute']",
};

/// The targets of a policy that decides who may come in.
pub(crate) const SECURED: Targets = Targets {
    all: "['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TCPRoute']",
    routes: "['HTTPRoute', 'GRPCRoute', 'TCPRoute']",
};

/// A policy names its targets in one way, or selects them.
pub(crate) fn names_targets() -> Rule {
    Rule::new(
        "has(self.targetRef) != has(self.targetRefs) || (has(self.targetSelectors) && size(self.targetSelectors) > 0)",
    )
    .message("name the targets: set either `targetRefs` or (deprecated) `targetRef`, or `targetSelectors`")
}

/// Targets are of the Gateway API.
pub(crate) fn targets_are_gateway_api() -> Rule {
    Rule::new(every_ref("group == 'gateway.networking.k8s.io'")).message(
        "a policy can only be about Gateway API resources: set the target's `group` to gateway.networking.k8s.io",
    )
}

/// Targets are of kinds that the policy knows.
pub(crate) fn targets_are(kinds: &Targets) -> Rule {
    Rule::new(every_ref(&format!("kind in {}", kinds.all))).message(Message::Message(format!(
        "this policy cannot be about a target of this kind; `kind` must be one of {}",
        kinds.all
    )))
}

/// Only routes have a parent whose policy they can be merged into.
pub(crate) fn merges_routes_only(kinds: &Targets) -> Rule {
    let routes = kinds.routes;
    let refs = every_ref(&format!("kind in {routes}"));
    Rule::new(format!(
        "!has(self.mergeType) || ({refs} && (!has(self.targetSelectors) || \
         self.targetSelectors.all(t, t.kind in {routes})))"
    ))
    .message(Message::Message(format!(
        "`mergeType` is for policies about routes only: leave it out, \
         or let all targets be one of {routes}"
    )))
}

/// `replace` is what happens without a merge type.
pub(crate) fn merge_is_not_replace() -> Rule {
    Rule::new("self != 'Replace'").message("leave `mergeType` out to replace the parent's policy")
}

fn every_ref(condition: &str) -> String {
    format!(
        "(!has(self.targetRef) || self.targetRef.{condition}) && (!has(self.targetRefs) || self.targetRefs.all(t, t.{condition}))"
    )
}
