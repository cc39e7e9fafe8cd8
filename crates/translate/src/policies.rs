//! Extension policies: which holds where. Written once, for all kinds.
//!
//! The most specific target has precedence: a rule of a route, the route, a listener of a listener set, the listener
//! set, a listener of the gateway, the gateway. Of several policies with one target the oldest holds, the others are in
//! conflict. A policy takes the place of a less specific one as a whole, unless its `mergeType` asks for a merge.

pub(crate) mod ext_auth;
mod ext_proc;
mod merge;
mod oidc;
mod rate_limit;
mod security;
mod status;

pub use oidc::CLUSTER as SINGLE_SIGN_ON_CLUSTER;

use std::{collections::HashMap, sync::Arc};

use api::{
    Resources, Route, Stored, Table,
    ext::{
        BackendTrafficPolicy, EnvoyExtensionPolicy, PolicySpec, SecurityPolicy, TargetSelector, policy::NamespacesFrom,
    },
    gateway::{GROUP, Gateway, ListenerSet},
};
use serde::{Serialize, de::DeserializeOwned};

use self::merge::Said;
use crate::{
    grants::{Referent, Referrer, permits},
    plan::ListenerPlan,
    problem::Problem,
    rejections::rejection,
    rules::{Compiled, RuleScope},
    selector::{self, Namespaces},
};

pub(crate) use status::{Ancestry, Row, concerned, reports};

/// A kind of policy. One row for each in [`Policies`].
pub(crate) trait Policy: Stored {
    /// What it says.
    type Spec: PolicySpec + Serialize + DeserializeOwned + Clone;

    /// Whether requests must not pass where it cannot be had.
    const GUARDS: bool;

    /// What this one says.
    fn spec(&self) -> &Self::Spec;
}

macro_rules! policies {
    ($($field:ident: $policy:ident { $spec:ident } from $table:ident, $apply:path, guards: $guards:literal;)*) => {
        $(impl Policy for $policy {
            type Spec = api::ext::$spec;

            const GUARDS: bool = $guards;

            fn spec(&self) -> &Self::Spec {
                &self.spec
            }
        })*

        /// All policies, by kind.
        #[derive(Debug, Default)]
        pub(crate) struct Policies {$(
            pub(crate) $field: Index<$policy>,
        )*}

        impl Policies {
            /// Sorts all policies by their targets.
            pub(crate) fn new(resources: &Resources) -> Self {
                Self {$($field: Index::new(&resources.$table),)*}
            }

            /// Whether there is none.
            pub(crate) fn is_empty(&self) -> bool {
                $(self.$field.policies.is_empty())&&*
            }

            /// Whether any names a resource, or a section of it, or selects it.
            pub(crate) fn know(&self, resources: &Resources, target: Target<'_>) -> bool {
                $(self.$field.knows(resources, target))||*
            }

            /// Which policies of a listener and what is above it hold: routes whose listeners have the same need to be
            /// compiled only once.
            pub(crate) fn signature(&self, resources: &Resources, above: &[Target<'_>]) -> Signature {
                vec![$(self.$field.chain(resources, above).first().copied(),)*]
            }
        }

        impl Effective<'_> {
            /// Puts what the policies ask for into a rule's features.
            pub(crate) fn apply(&self, rule: RuleScope<'_>, features: &mut ir::Features, out: &mut Compiled) {
                $(self.apply_kind(&rule.scope.plan.policies.$field, rule, features, out, $apply);)*
            }
        }

        /// The reports of all policies.
        fn all_reports(ancestry: &Ancestry<'_>, into: &mut Vec<status::Row>) {
            $(status::of_kind(&ancestry.plan.policies.$field, ancestry, into);)*
        }
    };
}

policies! {
    // What decides who may pass comes before what counts, and what counts before what looks inside.
    security: SecurityPolicy { SecurityPolicySpec } from security_policies, security::apply, guards: true;
    traffic: BackendTrafficPolicy { BackendTrafficPolicySpec } from backend_traffic_policies, rate_limit::apply, guards: false;
    extension: EnvoyExtensionPolicy { EnvoyExtensionPolicySpec } from envoy_extension_policies, ext_proc::apply, guards: true;
}

/// Puts what a policy of one kind says into the features of a rule.
type Apply<P> = fn(&P, &<P as Policy>::Spec, RuleScope<'_>, &mut ir::Features, &mut Compiled) -> Result<(), Problem>;

/// The policies of each kind that hold above a route, by index.
pub(crate) type Signature = Vec<Option<usize>>;

/// Something that a policy can be about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// A listener, or a rule.
    pub(crate) section: Option<&'a str>,
    /// For selectors.
    pub(crate) labels: Option<&'a std::collections::BTreeMap<String, String>>,
}

/// All policies of one kind.
#[derive(Debug)]
pub(crate) struct Index<P> {
    /// Ordered by age.
    pub(crate) policies: Vec<Arc<P>>,
    by_name: HashMap<(String, String, String), Vec<usize>>,
    with_selectors: Vec<usize>,
}

impl<P> Default for Index<P> {
    fn default() -> Self {
        Self { policies: Vec::new(), by_name: HashMap::new(), with_selectors: Vec::new() }
    }
}

impl<P: Policy> Index<P> {
    fn new(table: &Table<P>) -> Self {
        let mut policies: Vec<_> = table.iter().cloned().collect();
        policies.sort_by_cached_key(|policy| policy.age());
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        let mut with_selectors = Vec::new();
        for (index, policy) in policies.iter().enumerate() {
            for target in policy.spec().target_refs() {
                let key = (policy.namespace().to_owned(), target.kind.clone(), target.name.clone());
                by_name.entry(key).or_default().push(index);
            }
            if !policy.spec().target_selectors().is_empty() {
                with_selectors.push(index);
            }
        }
        Self { policies, by_name, with_selectors }
    }

    /// The policies about exactly this target, the oldest first.
    pub(crate) fn about(&self, resources: &Resources, target: Target<'_>) -> Vec<usize> {
        if self.policies.is_empty() {
            return Vec::new();
        }
        let key = (target.namespace.to_owned(), target.kind.to_owned(), target.name.to_owned());
        let named = self.by_name.get(&key).into_iter().flatten().copied().filter(|index| {
            let mut refs = self.policies[*index].spec().target_refs();
            refs.any(|item| {
                item.group == GROUP
                    && item.kind == target.kind
                    && item.name == target.name
                    && item.section_name.as_deref() == target.section
            })
        });
        let selected = self.with_selectors.iter().copied().filter(|index| {
            // A selector selects resources as a whole.
            let policy = &self.policies[*index];
            let mut selectors = policy.spec().target_selectors().iter();
            target.section.is_none() && selectors.any(|item| selects(resources, &**policy, item, target))
        });
        let mut found: Vec<_> = named.chain(selected).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether any names a resource, or a section of it, or selects it.
    fn knows(&self, resources: &Resources, target: Target<'_>) -> bool {
        let key = || (target.namespace.to_owned(), target.kind.to_owned(), target.name.to_owned());
        let selects = |index: &usize| {
            let policy = &self.policies[*index];
            policy.spec().target_selectors().iter().any(|item| selects(resources, &**policy, item, target))
        };
        (!self.by_name.is_empty() && self.by_name.contains_key(&key())) || self.with_selectors.iter().any(selects)
    }

    /// For each target, most specific first, the policy that holds there.
    fn chain(&self, resources: &Resources, targets: &[Target<'_>]) -> Vec<usize> {
        targets.iter().filter_map(|target| self.about(resources, *target).first().copied()).collect()
    }

    /// What is refused of what the policy at the head of a chain is merged into.
    fn refused_above(&self, resources: &Resources, fleet: &str, chain: &[usize]) -> Option<Problem> {
        let (first, rest) = chain.split_first()?;
        self.policies[*first].spec().merge_type()?;
        let above = &self.policies[*rest.first()?];
        let problem = rejection(resources, fleet, &**above).or_else(|| self.refused_above(resources, fleet, rest))?;
        let words = format!("it is merged into {} {}: {}", P::KIND, above.name(), problem.message);
        Some(Problem::new(problem.reason, words))
    }

    /// What holds at the head of a chain: the first policy, merged into the rest where it asks for that.
    fn merged(&self, chain: &[usize]) -> Option<Result<P::Spec, Problem>> {
        let (first, rest) = chain.split_first()?;
        let policy = &self.policies[*first];
        let spec = policy.spec();
        let parent = spec.merge_type().and_then(|merge_type| Some((merge_type, rest.first()?, self.merged(rest)?)));
        let Some((merge_type, above, parent)) = parent else { return Some(Ok(spec.clone())) };
        let namespace = self.policies[*above].namespace().to_owned();
        let child = Said { spec, namespace: policy.namespace().to_owned() };
        Some(parent.and_then(|spec| merge::merge(&Said { spec, namespace }, &child, merge_type)))
    }
}

/// Whether a policy's selector selects a target. Across namespaces the target's namespace has to grant it, else anyone
/// could rule over everyone's routes.
fn selects<P: Policy>(resources: &Resources, policy: &P, item: &TargetSelector, target: Target<'_>) -> bool {
    let empty = std::collections::BTreeMap::new();
    if item.kind != target.kind
        || item.group != GROUP
        || !selector::matches(&item.labels(), target.labels.unwrap_or(&empty))
    {
        return false;
    }
    let from = item.namespaces.as_ref().map_or(NamespacesFrom::Same, |namespaces| namespaces.from);
    let namespaces = match from {
        NamespacesFrom::Same => Namespaces::Same,
        NamespacesFrom::All => Namespaces::All,
        NamespacesFrom::Selector => {
            let selector = item.namespaces.as_ref().and_then(|namespaces| namespaces.selector.as_ref());
            selector.map_or(Namespaces::None, |selector| Namespaces::Selected(selector.labels()))
        }
    };
    let to = Referent { group: GROUP, kind: target.kind, namespace: target.namespace, name: target.name };
    namespaces.allow(resources, policy.namespace(), target.namespace) && permits(resources, Referrer::of(policy), to)
}

/// What holds for a route on a listener.
#[derive(Debug)]
pub(crate) struct Effective<'a> {
    pub(crate) route: &'a Route,
    /// The listener and what is above it, the most specific first.
    pub(crate) above: Vec<Target<'a>>,
}

impl<'a> Effective<'a> {
    /// The targets from a listener upwards.
    pub(crate) fn above(resources: &'a Resources, listener: &'a ListenerPlan, gateway: &'a Gateway) -> Vec<Target<'a>> {
        let mut targets = Vec::new();
        let mut both = |kind: &'a str, namespace: &'a str, name: &'a str, labels, section: Option<&'a str>| {
            let whole = Target { kind, namespace, name, section: None, labels };
            targets.extend(section.map(|section| Target { section: Some(section), ..whole }));
            targets.push(whole);
        };
        let owner = &listener.owner;
        let is_set = owner.kind == ListenerSet::KIND;
        if is_set {
            let set = resources.listener_sets.get(&owner.namespace, &owner.name);
            let labels = set.and_then(|set| set.metadata.labels.as_ref());
            both(ListenerSet::KIND, &owner.namespace, &owner.name, labels, Some(&listener.name));
        }
        let section = (!is_set).then_some(listener.name.as_str());
        both(Gateway::KIND, gateway.namespace(), gateway.name(), gateway.metadata.labels.as_ref(), section);
        targets
    }

    /// All targets for a rule, the most specific first.
    fn targets<'b>(&'b self, rule: RuleScope<'b>) -> Vec<Target<'b>> {
        let whole = Target {
            kind: self.route.kind(),
            namespace: self.route.namespace(),
            name: self.route.name(),
            section: None,
            labels: self.route.metadata.labels.as_ref(),
        };
        let section = rule.rule.name.as_deref().map(|name| Target { section: Some(name), ..whole });
        section.into_iter().chain([whole]).chain(self.above.iter().copied()).collect()
    }

    /// Applies the policy of one kind that holds for a rule.
    fn apply_kind<P: Policy>(
        &self,
        index: &Index<P>,
        rule: RuleScope<'_>,
        features: &mut ir::Features,
        out: &mut Compiled,
        apply: Apply<P>,
    ) {
        let chain = index.chain(rule.scope.resources, &self.targets(rule));
        let Some(first) = chain.first() else { return };
        let policy = &index.policies[*first];
        out.policies.note(policy.reference(), chain[1..].iter().map(|other| index.policies[*other].reference()));
        let fleet = &*rule.scope.fleet().name;
        // Its status says so by itself.
        if rejection(rule.scope.resources, fleet, &**policy).is_some() {
            if P::GUARDS {
                out.fail(rule);
            }
            return;
        }
        let refused = index.refused_above(rule.scope.resources, fleet, &chain).map_or(Ok(()), Err);
        let spec = refused.and_then(|()| index.merged(&chain).transpose());
        if P::GUARDS && spec.is_err() {
            out.fail(rule);
        }
        let applied = spec.and_then(|spec| match spec {
            Some(spec) => apply(policy, &spec, rule, features, out),
            None => Ok(()),
        });
        if let Err(problem) = applied {
            out.policies.problems.push((policy.reference(), problem));
        }
    }
}
