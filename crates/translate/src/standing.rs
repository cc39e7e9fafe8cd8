//! What became of all routes, kept up to date by what changed: a changed route costs the work of one route, and a walk along
//! the others that compares their addresses.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use api::{Resources, Route, RouteKind, Stored};

use crate::{
    plan::Plan,
    routes::{Attachment, Outcome, contests},
};

/// What became of all routes under one plan.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// What becomes of each route by itself, in the order of the tables, with the route's address: an outcome holds its
    /// route, so an address is one route.
    own: Vec<(usize, Arc<Outcome>)>,
    /// What becomes instead of those that lose a contest, by the address of what would have become of them.
    losers: HashMap<usize, Loser>,
    /// For each listener, how many attachments there are of each kind of route.
    kinds: Vec<contests::Kinds>,
}

/// A route that lost its place on some listeners.
#[derive(Debug)]
struct Loser {
    own: Arc<Outcome>,
    listeners: Vec<usize>,
    settled: Arc<Outcome>,
}

/// What became of one route, before and after.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) before: Option<Arc<Outcome>>,
    pub(crate) after: Option<Arc<Outcome>>,
}

impl Change {
    /// Both sides that there are.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Arc<Outcome>> {
        self.before.iter().chain(&self.after)
    }
}

/// An attachment of an outcome.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) outcome: Arc<Outcome>,
    parent: usize,
    index: usize,
}

impl Attached {
    /// All attachments of an outcome.
    pub(crate) fn all(outcome: &Arc<Outcome>) -> impl Iterator<Item = Self> {
        let parents = outcome.parents.iter().enumerate();
        let places = parents.flat_map(|(parent, item)| (0..item.attachments.len()).map(move |index| (parent, index)));
        places.map(|(parent, index)| Self { outcome: Arc::clone(outcome), parent, index })
    }

    pub(crate) fn attachment(&self) -> &Attachment {
        &self.outcome.parents[self.parent].attachments[self.index]
    }
}

fn address<T>(item: &Arc<T>) -> usize {
    Arc::as_ptr(item).addr()
}

impl Standing {
    /// Nothing stands yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { kinds: vec![Default::default(); plan.listeners.len()], ..Self::default() }
    }

    /// What became of each route, in the order of the tables.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = &Arc<Outcome>> {
        self.own.iter().map(|(_, own)| self.losers.get(&address(own)).map_or(own, |loser| &loser.settled))
    }

    /// The attachments of routes of bytes and datagrams, for each of so many listeners.
    pub(crate) fn layer4(&self, resources: &Resources) -> Vec<Vec<Attached>> {
        let mut lists = vec![Vec::new(); self.kinds.len()];
        // They come after the others.
        let others = resources.http_routes.len() + resources.grpc_routes.len();
        for attached in self.outcomes().skip(others).flat_map(Attached::all) {
            lists[attached.attachment().listener].push(attached);
        }
        lists
    }

    /// Brings it up to date; says for which routes something else came out. `make` looks at one route.
    pub(crate) fn update(
        &mut self,
        resources: &Resources,
        make: impl FnMut(&Arc<Route>) -> Arc<Outcome>,
    ) -> Vec<Change> {
        let changes = self.walk(resources, make);
        for change in &changes {
            self.count(change.before.as_ref(), |count| count - 1);
            self.count(change.after.as_ref(), |count| count + 1);
        }
        if self.losers.is_empty() && !contests::possible(&self.kinds) {
            return changes;
        }
        self.contest(changes)
    }

    fn count(&mut self, outcome: Option<&Arc<Outcome>>, change: fn(usize) -> usize) {
        if let Some(outcome) = outcome {
            for attachment in outcome.attachments() {
                let count = &mut self.kinds[attachment.listener][outcome.route.kind as usize];
                *count = change(*count);
            }
        }
    }

    /// Walks along the routes that were and those that are, both in order.
    fn walk(&mut self, resources: &Resources, mut make: impl FnMut(&Arc<Route>) -> Arc<Outcome>) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.own).into_iter().peekable();
        self.own.reserve(before.len());
        let mut changes = Vec::new();
        for route in RouteKind::ALL.into_iter().flat_map(|kind| resources.routes(kind).iter()) {
            let here = address(route);
            let gone =
                |known: &mut (usize, Arc<Outcome>)| known.0 != here && order(&known.1.route, route) == Ordering::Less;
            while let Some((_, outcome)) = next_if(&mut before, gone) {
                changes.push(Change { before: Some(outcome), after: None });
            }
            if let Some(known) = before.next_if(|known| known.0 == here) {
                self.own.push(known);
                continue;
            }
            let known = before.next_if(|known| order(&known.1.route, route) == Ordering::Equal);
            let outcome = make(route);
            self.own.push((here, Arc::clone(&outcome)));
            changes.push(Change { before: known.map(|(_, outcome)| outcome), after: Some(outcome) });
        }
        changes.extend(before.map(|(_, outcome)| Change { before: Some(outcome), after: None }));
        changes
    }

    /// Settles contests anew, and says of the changes what they are with the losers taken into account.
    fn contest(&mut self, mut changes: Vec<Change>) -> Vec<Change> {
        let own: Vec<Arc<Outcome>> = self.own.iter().map(|(_, outcome)| Arc::clone(outcome)).collect();
        let before = std::mem::take(&mut self.losers);
        for (index, listeners) in contests::losers(&own, &self.kinds) {
            let known = before.get(&address(&own[index])).filter(|known| known.listeners == listeners);
            let settled = known.map(|known| Arc::clone(&known.settled));
            let settled = settled.unwrap_or_else(|| Arc::new(contests::without(&own[index], &listeners)));
            let loser = Loser { own: Arc::clone(&own[index]), listeners, settled };
            self.losers.insert(address(&own[index]), loser);
        }
        let settled = |losers: &HashMap<usize, Loser>, outcome: &Arc<Outcome>| {
            Arc::clone(losers.get(&address(outcome)).map_or(outcome, |loser| &loser.settled))
        };
        // Others may have won or lost by what changed.
        let touched: BTreeMap<usize, &Loser> =
            before.iter().chain(&self.losers).map(|(address, loser)| (*address, loser)).collect();
        let changed: Vec<usize> = changes.iter().flat_map(Change::sides).map(address).collect();
        let bystanders: Vec<Change> = touched
            .into_iter()
            .filter(|(address, _)| !changed.contains(address))
            .map(|(_, loser)| Change {
                before: Some(settled(&before, &loser.own)),
                after: Some(settled(&self.losers, &loser.own)),
            })
            .filter(|change| change.before.as_ref().map(address) != change.after.as_ref().map(address))
            .collect();
        for change in &mut changes {
            change.before = change.before.take().map(|outcome| settled(&before, &outcome));
            change.after = change.after.take().map(|outcome| settled(&self.losers, &outcome));
        }
        changes.extend(bystanders);
        changes
    }
}

/// The next item, if it is so.
fn next_if<T>(items: &mut std::iter::Peekable<std::vec::IntoIter<T>>, is_so: impl Fn(&mut T) -> bool) -> Option<T> {
    if items.peek_mut().is_some_and(is_so) { items.next() } else { None }
}

/// The order of the tables.
fn order(a: &Route, b: &Route) -> Ordering {
    (a.kind as usize, a.namespace(), a.name()).cmp(&(b.kind as usize, b.namespace(), b.name()))
}
