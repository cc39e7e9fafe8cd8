//! Routes that cannot both have what they ask for.
//!
//! A host of a listener belongs to HTTPRoutes or to GRPCRoutes, not to both (the specification of GRPCRoute). The older route
//! wins, then the first by namespace and name. Several TCPRoutes or UDPRoutes of a listener are no contest: all are accepted,
//! and the oldest has the traffic (GEP-2644, GEP-2645).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use api::RouteKind;

use super::{Outcome, ParentOutcome, report};
use crate::{names, plan::Plan, problem::Problem};

/// Lets the losers lose: gives what becomes of them instead, by index.
pub(crate) fn settle(plan: &Plan, outcomes: &[Arc<Outcome>]) -> HashMap<usize, Arc<Outcome>> {
    let mut lost: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (listener, rivals) in rivals(plan, outcomes) {
        let mut winners: Vec<usize> = Vec::new();
        for rival in rivals {
            let collides = |winner: &usize| collide(&outcomes[*winner], &outcomes[rival], listener);
            match winners.iter().any(collides) {
                true => lost.entry(rival).or_default().push(listener),
                false => winners.push(rival),
            }
        }
    }
    lost.into_iter().map(|(index, listeners)| (index, Arc::new(without(&outcomes[index], &listeners)))).collect()
}

/// For each listener on which a contest is possible: its routes, in order of age.
fn rivals(plan: &Plan, outcomes: &[Arc<Outcome>]) -> BTreeMap<usize, Vec<usize>> {
    let mut kinds = vec![[0_usize; RouteKind::ALL.len()]; plan.listeners.len()];
    for outcome in outcomes {
        for attachment in outcome.attachments() {
            kinds[attachment.listener][outcome.route.kind as usize] += 1;
        }
    }
    let contested = |listener: usize| {
        let count = |kind: RouteKind| kinds[listener][kind as usize];
        count(RouteKind::Http) > 0 && count(RouteKind::Grpc) > 0
    };
    let mut rivals: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    if !(0..kinds.len()).any(contested) {
        return rivals;
    }
    for (index, outcome) in outcomes.iter().enumerate() {
        for attachment in outcome.attachments().filter(|attachment| contested(attachment.listener)) {
            let list = rivals.entry(attachment.listener).or_default();
            if list.last() != Some(&index) {
                list.push(index);
            }
        }
    }
    for list in rivals.values_mut() {
        list.sort_by(|a, b| outcomes[*a].age.cmp(&outcomes[*b].age));
    }
    rivals
}

/// Whether two routes cannot both be on a listener.
fn collide(winner: &Outcome, rival: &Outcome, listener: usize) -> bool {
    match (winner.route.kind, rival.route.kind) {
        (RouteKind::Http, RouteKind::Grpc) | (RouteKind::Grpc, RouteKind::Http) => {
            let domains = |outcome: &Outcome| -> Vec<Arc<str>> {
                let here = outcome.attachments().filter(|attachment| attachment.listener == listener);
                here.flat_map(|attachment| attachment.domains.clone()).collect()
            };
            let theirs = domains(rival);
            domains(winner).iter().any(|a| theirs.iter().any(|b| meet(a, b)))
        }
        _ => false,
    }
}

fn meet(a: &str, b: &str) -> bool {
    a == "*" || b == "*" || names::intersection(Some(a), b).is_some()
}

/// A route that lost its place on some listeners.
fn without(outcome: &Outcome, listeners: &[usize]) -> Outcome {
    let remaining = |parent: &ParentOutcome| {
        let mut parent = parent.clone();
        parent.attachments.retain(|attachment| !listeners.contains(&attachment.listener));
        if parent.attachments.is_empty() && parent.refused.is_none() {
            let message = "an older route has the same listener and hosts, which only one of the two can have";
            parent.refused = Some(Problem::new("NotAllowedByListeners", message));
        }
        parent
    };
    let parents: Vec<_> = outcome.parents.iter().map(remaining).collect();
    Outcome {
        route: Arc::clone(&outcome.route),
        reference: Arc::clone(&outcome.reference),
        age: outcome.age.clone(),
        report: report(&outcome.route, &parents),
        parents,
    }
}
