//! The status of gateways, listener sets and back ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ObjectRef, Resources, Stored, ext::Backend};

use crate::{
    Options, backends,
    plan::{GatewayPlan, ListenerPlan, Parent, Plan},
    problem::{Problem, condition},
    rejections::{rejection, rejection_anywhere},
    report::{Condition, ListenerStatus, Report, Status},
    routes::Outcome,
    standing::Change,
};

/// How many routes each listener has, kept up to date by what changed.
#[derive(Debug)]
pub(crate) struct Counts(Vec<i32>);

impl Counts {
    /// None.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self(vec![0; plan.listeners.len()])
    }

    /// Notes what changed; gives the listeners with another count.
    pub(crate) fn note(&mut self, changes: &[Change]) -> BTreeSet<usize> {
        let mut differences: BTreeMap<usize, i32> = BTreeMap::new();
        for change in changes {
            counted(change.before.as_deref()).for_each(|listener| *differences.entry(listener).or_default() -= 1);
            counted(change.after.as_deref()).for_each(|listener| *differences.entry(listener).or_default() += 1);
        }
        differences.retain(|_, difference| *difference != 0);
        for (listener, difference) in &differences {
            self.0[*listener] += difference;
        }
        differences.into_keys().collect()
    }
}

/// The listeners that count a route: once, however many of its parents lead to the listener.
fn counted(outcome: Option<&Outcome>) -> impl Iterator<Item = usize> {
    let parents = outcome.into_iter().flat_map(|outcome| &outcome.parents).filter(|parent| counts_for(parent));
    let listeners = parents.flat_map(|parent| parent.attachments.iter().map(|attachment| attachment.listener));
    listeners.collect::<BTreeSet<_>>().into_iter()
}

/// Whether a parent's listeners count the route: it is accepted.
fn counts_for(parent: &crate::routes::ParentOutcome) -> bool {
    let all_dropped = |parent: &crate::routes::ParentOutcome| {
        let compiled = parent.attachments.first().map(|attachment| &attachment.compiled);
        compiled.is_some_and(|compiled| compiled.rules > 0 && compiled.rules == compiled.dropped)
    };
    parent.refused.is_none() && !all_dropped(parent)
}

/// The reports of the gateways and listener sets that have one of these listeners, or of all.
pub(crate) fn parents(
    resources: &Resources,
    plan: &Plan,
    counts: &Counts,
    touched: Option<&BTreeSet<usize>>,
) -> Vec<(Arc<ObjectRef>, Arc<Report>)> {
    let is_touched =
        |parent: &Parent| touched.is_none_or(|touched| parent.listeners.iter().any(|index| touched.contains(index)));
    let report = |(reference, parent): (&ObjectRef, &Parent)| {
        let gateway = &plan.gateways[parent.gateway];
        let report = match &parent.listener_set {
            None => of_gateway(resources, plan, gateway, parent, &counts.0),
            Some(refused) => of_listener_set(plan, parent, refused, &counts.0),
        };
        let report = Report {
            generation: parent.generation,
            status: report,
            fleet: Some(Arc::clone(&plan.fleets[gateway.fleet].name)),
        };
        (Arc::new(reference.clone()), Arc::new(report))
    };
    plan.parents.iter().filter(|(_, parent)| is_touched(parent)).map(report).collect()
}

fn of_gateway(resources: &Resources, plan: &Plan, gateway: &GatewayPlan, parent: &Parent, counts: &[i32]) -> Status {
    let listeners: Vec<_> = parent.listeners.iter().map(|index| (&plan.listeners[*index], counts[*index])).collect();
    let mut conditions = gateway.conditions.clone();
    let invalid: Vec<&str> = listeners
        .iter()
        .filter(|(listener, _)| !listener.served())
        .map(|(listener, _)| listener.name.as_str())
        .collect();
    let none = !listeners.is_empty() && invalid.len() == listeners.len();
    if let Some(accepted) = conditions.iter_mut().find(|item| item.r#type == "Accepted" && item.holds())
        && !invalid.is_empty()
    {
        let message = format!("listeners that are not valid: {}", invalid.join(", "));
        *accepted = match none {
            true => Condition::no("Accepted", "ListenersNotValid", message),
            false => Condition::yes("Accepted", "ListenersNotValid", message),
        };
    }
    let optional = plan.listeners.iter().any(|listener| {
        let mode = |tls: &ir::DownstreamTls| tls.client_certificate_optional && !tls.client_authorities.is_empty();
        parent.listeners.iter().any(|index| std::ptr::eq(&plan.listeners[*index], listener))
            && listener.tls.as_ref().is_some_and(mode)
    });
    if optional {
        let message = "clients without a valid certificate are let in (AllowInsecureFallback)";
        conditions.push(Condition::yes("InsecureFrontendValidationMode", "ConfigurationChanged", message));
    }
    if !conditions.iter().any(|item| item.r#type == "Programmed") {
        let rejected = rejection(resources, &plan.fleets[gateway.fleet].name, &*gateway.resource);
        conditions.push(match gateway.accepted {
            true => programmed(rejected, none.then_some("Invalid")),
            false => Condition::no("Programmed", "Invalid", "the gateway is not accepted"),
        });
    }
    Status::Listeners {
        conditions,
        listeners: listeners
            .into_iter()
            .map(|(listener, count)| of_listener(listener, count, gateway.accepted))
            .collect(),
        attached_listener_sets: Some(gateway.listener_sets),
        addresses: gateway.addresses.clone(),
    }
}

/// `invalid` is the reason where no listener is valid: gateways and listener sets have different ones.
fn programmed(rejected: Option<Problem>, invalid: Option<&'static str>) -> Condition {
    match (rejected, invalid) {
        (Some(problem), _) => Condition::no("Programmed", "Invalid", problem.message),
        (None, Some(reason)) => Condition::no("Programmed", reason, "there is no listener that can be served"),
        (None, None) => Condition::yes("Programmed", "Programmed", ""),
    }
}

fn of_listener_set(plan: &Plan, parent: &Parent, refused: &[Condition], counts: &[i32]) -> Status {
    let listeners: Vec<_> = parent.listeners.iter().map(|index| (&plan.listeners[*index], counts[*index])).collect();
    let invalid: Vec<&str> = listeners
        .iter()
        .filter(|(listener, _)| !listener.served())
        .map(|(listener, _)| listener.name.as_str())
        .collect();
    let conditions = if !refused.is_empty() {
        refused.to_vec()
    } else if invalid.is_empty() {
        vec![Condition::yes("Accepted", "Accepted", ""), programmed(None, None)]
    } else {
        let message = format!("listeners that are not valid: {}", invalid.join(", "));
        let none = invalid.len() == listeners.len();
        let accepted = match none {
            true => Condition::no("Accepted", "ListenersNotValid", message),
            false => Condition::yes("Accepted", "ListenersNotValid", message),
        };
        vec![accepted, programmed(None, none.then_some("ListenersNotValid"))]
    };
    Status::Listeners {
        conditions,
        listeners: listeners.into_iter().map(|(listener, count)| of_listener(listener, count, true)).collect(),
        attached_listener_sets: None,
        addresses: Vec::new(),
    }
}

fn of_listener(listener: &ListenerPlan, attached_routes: i32, accepted: bool) -> ListenerStatus {
    let refused = listener.conflict.iter().chain(&listener.refused);
    let mut conditions = vec![
        condition("Accepted", "Accepted", refused).noting(listener.without_effect.as_deref()),
        condition("ResolvedRefs", "ResolvedRefs", &listener.unresolved),
        match &listener.conflict {
            Some(conflict) => Condition::yes("Conflicted", conflict.reason, conflict.message.clone()),
            None => Condition::no("Conflicted", "NoConflicts", ""),
        },
        match (accepted, listener.served()) {
            (true, true) => Condition::yes("Programmed", "Programmed", ""),
            (true, false) => {
                let reason = listener.conflict.as_ref().map_or("Invalid", |conflict| conflict.reason);
                Condition::no("Programmed", reason, "the listener is not valid; the other conditions say why")
            }
            (false, _) => Condition::no("Programmed", "Invalid", "the gateway is not accepted"),
        },
    ];
    if let Some(overlap) = &listener.overlap {
        conditions.push(Condition::yes("OverlappingTLSConfig", overlap.reason, overlap.message.clone()));
    }
    ListenerStatus { name: listener.name.clone(), attached_routes, supported_kinds: listener.kinds.clone(), conditions }
}

/// The reports of `Backend` resources.
pub(crate) fn of_backends(resources: &Resources, options: &Options) -> Vec<(Arc<ObjectRef>, Arc<Report>)> {
    let report = |backend: &Arc<Backend>| {
        let problem = rejection_anywhere(resources, &**backend).or_else(|| backends::problem(options, backend));
        let conditions = vec![condition("Accepted", "Accepted", &problem)];
        let status = Status::Plain { conditions, supported_features: Vec::new() };
        let report = Report { generation: backend.generation(), status, fleet: None };
        (Arc::new(backend.reference()), Arc::new(report))
    };
    resources.backends.iter().map(report).collect()
}
