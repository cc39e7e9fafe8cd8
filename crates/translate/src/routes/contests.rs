//! Routes that cannot both have what they ask for.
//!
//! A host of a listener belongs to HTTPRoutes or to GRPCRoutes, not to both (the specification of GRPCRoute). The older route
//! wins, then the first by namespace and name. Several TCPRoutes or UDPRoutes of a listener are no contest: all are accepted,
//! and the oldest has the traffic (GEP-2644, GEP-2645).

use std::{collections::BTreeMap, sync::Arc};

use api::RouteKind;

use super::{Outcome, ParentOutcome, report};
use crate::{names, problem::Problem};

/// How many attachments there are of each kind of route.
pub(crate) type Kinds = [usize; RouteKind::ALL.len()];

/// Whether there is a listener on which routes could collide.
pub(crate) fn possible(kinds: &[Kinds]) -> bool {
    kinds.iter().any(contested)
}

fn contested(kinds: &Kinds) -> bool {
    let count = |kind: RouteKind| kinds[kind as usize];
    count(RouteKind::Http) > 0 && count(RouteKind::Grpc) > 0
}

/// Who loses, by index, and on which listeners. `kinds` has the attachments of each listener.
pub(crate) fn losers(outcomes: &[Arc<Outcome>], kinds: &[Kinds]) -> BTreeMap<usize, Vec<usize>> {
    let mut lost: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (listener, rivals) in rivals(outcomes, kinds) {
        let mut winners: Vec<usize> = Vec::new();
        for rival in rivals {
            let collides = |winner: &usize| collide(&outcomes[*winner], &outcomes[rival], listener);
            match winners.iter().any(collides) {
                true => lost.entry(rival).or_default().push(listener),
                false => winners.push(rival),
            }
        }
    }
    lost
}

/// For each listener on which a contest is possible: its routes, in order of age.
fn rivals(outcomes: &[Arc<Outcome>], kinds: &[Kinds]) -> BTreeMap<usize, Vec<usize>> {
    let mut rivals: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        for attachment in outcome.attachments().filter(|attachment| contested(&kinds[attachment.listener])) {
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
pub(crate) fn without(outcome: &Outcome, listeners: &[usize]) -> Outcome {
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
