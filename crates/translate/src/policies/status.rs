//! The status of policies: for each ancestor, whether the policy holds there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use api::{
    ObjectRef, Resources, Route, RouteKind, Stored,
    gateway::{BackendTlsPolicy, GROUP, Gateway, ListenerSet, ParentRef},
};

use super::{Index, Policy, Target, all_reports};
use crate::{
    plan::Plan,
    problem::{Problem, condition},
    rejections::{refused_login, rejection},
    report::{AncestorStatus, Condition, Report, Status},
    routes::Outcome,
    standing::Change,
};

/// At most so many ancestors are listed, as the API has it.
const MOST_ANCESTORS: usize = 16;

/// Who is whose ancestor, and what policies had to do with routes.
pub(crate) struct Ancestry<'a> {
    pub(crate) resources: &'a Resources,
    pub(crate) plan: &'a Plan,
    routes: HashMap<&'a ObjectRef, &'a Outcome>,
    problems: BTreeMap<&'a ObjectRef, Vec<&'a Problem>>,
    overridden: BTreeSet<&'a ObjectRef>,
    /// The gateways that each target of a TLS policy is used through.
    tls_targets: BTreeMap<usize, BTreeSet<usize>>,
}

impl<'a> Ancestry<'a> {
    pub(crate) fn new(
        resources: &'a Resources,
        plan: &'a Plan,
        outcomes: impl Iterator<Item = &'a Arc<Outcome>>,
    ) -> Self {
        let mut this = Self {
            resources,
            plan,
            routes: HashMap::new(),
            problems: BTreeMap::new(),
            overridden: BTreeSet::new(),
            tls_targets: BTreeMap::new(),
        };
        for outcome in outcomes {
            this.routes.insert(&*outcome.reference, outcome);
            for parent in &outcome.parents {
                for attachment in &parent.attachments {
                    let compiled = &attachment.compiled;
                    for (policy, problem) in &compiled.policies.problems {
                        this.problems.entry(policy).or_default().push(problem);
                    }
                    this.overridden.extend(&compiled.policies.overridden);
                    for target in &compiled.used.tls_targets {
                        this.tls_targets.entry(*target).or_default().insert(parent.gateway);
                    }
                }
            }
        }
        this
    }
}

/// Whether the reports of policies may be others after some changes: a policy names or selects one of the routes, or had or
/// has to do with it.
pub(crate) fn concerned(resources: &Resources, plan: &Plan, changes: &[Change]) -> bool {
    changes.iter().flat_map(Change::sides).any(|outcome| {
        let route = &*outcome.route;
        let whole = Target {
            kind: route.kind(),
            namespace: route.namespace(),
            name: route.name(),
            section: None,
            labels: route.metadata.labels.as_ref(),
        };
        plan.policies.know(resources, whole)
            || outcome.attachments().any(|attachment| {
                let compiled = &attachment.compiled;
                !compiled.used.tls_targets.is_empty() || !compiled.policies.is_empty()
            })
    })
}

/// A report and whose it is.
pub(crate) type Row = (Arc<ObjectRef>, Arc<Report>);

/// The reports of all policies.
pub(crate) fn reports(ancestry: &Ancestry<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let into = &mut rows;
    all_reports(ancestry, into);
    for policy in &ancestry.plan.backend_tls.policies {
        let mut used: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for target in policy.targets() {
            for gateway in ancestry.tls_targets.get(&target).into_iter().flatten() {
                used.entry(*gateway).or_default().insert(target);
            }
        }
        let ancestors = used.iter().map(|(gateway, targets)| AncestorStatus {
            ancestor: parent_of(&ancestry.plan.gateways[*gateway].resource, None),
            conditions: policy.conditions(
                targets,
                rejection(ancestry.resources, ancestry.plan.fleet_of(*gateway), &*policy.resource),
            ),
        });
        let ancestors: Vec<_> = ancestors.take(MOST_ANCESTORS).collect();
        insert::<BackendTlsPolicy>(&policy.resource, ancestors, into);
    }
    rows
}

/// The reports of the policies of one kind.
pub(super) fn of_kind<P: Policy>(index: &Index<P>, ancestry: &Ancestry<'_>, into: &mut Vec<Row>) {
    for (number, policy) in index.policies.iter().enumerate() {
        let mut ancestors: Vec<AncestorStatus> = Vec::new();
        for target in targets(&**policy, ancestry) {
            for (ancestor, gateway) in ancestors_of(&target, ancestry) {
                if ancestors.iter().all(|known| known.ancestor != ancestor) && ancestors.len() < MOST_ANCESTORS {
                    let conditions = conditions(index, number, (&target, gateway), ancestry);
                    ancestors.push(AncestorStatus { ancestor, conditions });
                }
            }
        }
        insert(&**policy, ancestors, into);
    }
}

fn insert<P: Stored>(policy: &P, ancestors: Vec<AncestorStatus>, into: &mut Vec<Row>) {
    let report = Report { generation: policy.generation(), status: Status::Ancestors(ancestors), fleet: None };
    into.push((Arc::new(policy.reference()), Arc::new(report)));
}

/// Something that a policy names or selects.
struct Named {
    kind: String,
    name: String,
    namespace: String,
    section: Option<String>,
}

/// What a policy names or selects and is there.
fn targets<P: Policy>(policy: &P, ancestry: &Ancestry<'_>) -> Vec<Named> {
    use api::ext::PolicySpec;
    let named = policy.spec().target_refs().filter(|target| target.group == GROUP).map(|target| Named {
        kind: target.kind.clone(),
        name: target.name.clone(),
        namespace: policy.namespace().to_owned(),
        section: target.section_name.clone(),
    });
    let mut all: Vec<_> = named.collect();
    for selector in policy.spec().target_selectors() {
        let mut add = |resource: &dyn Labelled| {
            let (namespace, name, labels) = resource.parts();
            let target = Target { kind: &selector.kind, namespace, name, section: None, labels };
            if super::selects(ancestry.resources, policy, selector, target) {
                let (name, namespace) = (name.to_owned(), namespace.to_owned());
                all.push(Named { kind: selector.kind.clone(), name, namespace, section: None });
            }
        };
        match (selector.kind.as_str(), RouteKind::parse(&selector.kind)) {
            (_, Some(kind)) => ancestry.resources.routes(kind).iter().for_each(|route| add(&**route)),
            (Gateway::KIND, _) => ancestry.resources.gateways.iter().for_each(|gateway| add(&**gateway)),
            (ListenerSet::KIND, _) => ancestry.resources.listener_sets.iter().for_each(|set| add(&**set)),
            _ => {}
        }
    }
    all
}

/// A resource that a selector can select.
trait Labelled {
    #[allow(clippy::type_complexity)]
    fn parts(&self) -> (&str, &str, Option<&BTreeMap<String, String>>);
}

impl<T: Stored> Labelled for T {
    fn parts(&self) -> (&str, &str, Option<&BTreeMap<String, String>>) {
        (self.namespace(), self.name(), self.meta().labels.as_ref())
    }
}

/// The ancestors of a target, with the gateway of each: the gateway itself, or the route's parents. None when nobody of ours
/// serves it.
fn ancestors_of(target: &Named, ancestry: &Ancestry<'_>) -> Vec<(ParentRef, usize)> {
    let reference = ObjectRef::new(GROUP, &target.kind, &target.namespace, &target.name);
    if let Some(parent) = ancestry.plan.parents.get(&reference) {
        let gateway = &*ancestry.plan.gateways[parent.gateway].resource;
        let section = if target.kind == Gateway::KIND { target.section.clone() } else { None };
        return vec![(parent_of(gateway, section), parent.gateway)];
    }
    let Some(outcome) = ancestry.routes.get(&reference) else { return Vec::new() };
    let served = outcome.parents.iter().filter(|parent| parent.refused.is_none());
    served
        .map(|parent| {
            let reference = ParentRef {
                group: Some(GROUP.to_owned()),
                kind: Some(parent.reference.kind.clone().unwrap_or_else(|| Gateway::KIND.to_owned())),
                namespace: Some(parent.reference.namespace.clone().unwrap_or_else(|| target.namespace.clone())),
                ..parent.reference.clone()
            };
            (reference, parent.gateway)
        })
        .collect()
}

fn parent_of(gateway: &Gateway, section_name: Option<String>) -> ParentRef {
    ParentRef {
        group: Some(GROUP.to_owned()),
        kind: Some(Gateway::KIND.to_owned()),
        namespace: Some(gateway.namespace().to_owned()),
        name: gateway.name().to_owned(),
        section_name,
        port: None,
    }
}

/// The conditions of a policy for one of its targets at one gateway.
fn conditions<P: Policy>(
    index: &Index<P>,
    number: usize,
    (target, gateway): (&Named, usize),
    ancestry: &Ancestry<'_>,
) -> Vec<Condition> {
    let policy = &index.policies[number];
    let reference = policy.reference();
    let conflict = conflict(index, number, target, ancestry);
    let missing = section_missing(target, ancestry);
    let rejected = rejection(ancestry.resources, ancestry.plan.fleet_of(gateway), &**policy);
    let refused = refused_login(ancestry.resources, &**policy);
    let own: Vec<Problem> = conflict.into_iter().chain(missing).chain(rejected).chain(refused).collect();
    let problems: Vec<Problem> = ancestry
        .problems
        .get(&reference)
        .into_iter()
        .flatten()
        .map(|problem| Problem::new("Invalid", problem.message.clone()))
        .collect();
    let mut conditions = vec![condition("Accepted", "Accepted", own.iter().chain(&problems))];
    if ancestry.overridden.contains(&reference) {
        let message = "a more specific policy has its place, or is merged into it, for some routes";
        conditions.push(Condition::yes("Overridden", "Overridden", message));
    }
    conditions
}

/// The older policy with the same target.
fn conflict<P: Policy>(index: &Index<P>, number: usize, target: &Named, ancestry: &Ancestry<'_>) -> Option<Problem> {
    let labels = match RouteKind::parse(&target.kind) {
        Some(kind) => labels(ancestry.resources.routes(kind).get(&target.namespace, &target.name).map(AsRef::as_ref)),
        None => labels(ancestry.resources.gateways.get(&target.namespace, &target.name).map(AsRef::as_ref)),
    };
    let section = target.section.as_deref();
    let about = Target { kind: &target.kind, namespace: &target.namespace, name: &target.name, section, labels };
    let first = index.about(ancestry.resources, about).first().copied()?;
    (first != number).then(|| {
        let older = &index.policies[first];
        let name = format!("{}/{}", older.namespace(), older.name());
        Problem::new("Conflicted", format!("{} {name} is older and has the same target", older.kind()))
    })
}

fn labels<T: Stored>(resource: Option<&T>) -> Option<&BTreeMap<String, String>> {
    resource?.meta().labels.as_ref()
}

/// A section that the target does not have.
fn section_missing(target: &Named, ancestry: &Ancestry<'_>) -> Option<Problem> {
    let section = target.section.as_deref()?;
    let resources = ancestry.resources;
    let reference = ObjectRef::new(GROUP, &target.kind, &target.namespace, &target.name);
    let known =
        match RouteKind::parse(&target.kind) {
            Some(kind) => {
                let route: Option<&Arc<Route>> = resources.routes(kind).get(&target.namespace, &target.name);
                let rules = route.and_then(|route| route.spec.rules.as_ref()).into_iter().flatten();
                rules.into_iter().any(|rule| rule.name.as_deref() == Some(section))
            }
            None => ancestry.plan.parents.get(&reference).is_some_and(|parent| {
                parent.listeners.iter().any(|index| ancestry.plan.listeners[*index].name == section)
            }),
        };
    let message = format!("{} {} has no section named {section}", target.kind, target.name);
    (!known).then(|| Problem::new("TargetNotFound", message))
}
