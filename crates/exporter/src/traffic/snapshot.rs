//! All parts, added up at one moment: for the live page, and to find what is idle.

use std::sync::{Arc, MutexGuard};

use super::part::{Gone, Part};
use super::{Traffic, lock};
use crate::book::{Id, Numbered, Outcome};
use crate::histogram::Histogram;
use crate::labels::Place;

/// What a route said last that it promises.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) text: Box<[u8]>,
    /// When: seconds of the Unix epoch.
    pub(crate) at: f64,
}

/// What is counted of a route.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteTotals {
    pub(crate) said: Said,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) whole: Histogram,
    pub(crate) upstream: Histogram,
    pub(crate) filters: Histogram,
    pub(crate) request_bytes: Histogram,
    pub(crate) response_bytes: Histogram,
}

/// What was counted of requests, at one moment; each with its labels.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) requests: Vec<(Arc<str>, Outcome, u64)>,
    pub(crate) replies: Vec<(Arc<str>, Id, u64)>,
    pub(crate) routes: Vec<(Arc<str>, Route)>,
}

/// A route: its number, its names and what was counted.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) id: Id,
    pub(crate) place: Arc<Place>,
    pub(crate) totals: RouteTotals,
}

/// What was counted when it was last looked for what nobody meets any more.
#[derive(Debug, Default)]
pub(crate) struct Before {
    requests: Vec<u64>,
    replies: Vec<u64>,
    routes: Vec<u64>,
    connections: Vec<u64>,
    listeners: Vec<u64>,
}

impl RouteTotals {
    fn merge(&mut self, other: &Self) {
        if self.said.at < other.said.at {
            self.said.clone_from(&other.said);
        }
        self.received += other.received;
        self.sent += other.sent;
        self.whole.merge(&other.whole);
        self.upstream.merge(&other.upstream);
        self.filters.merge(&other.filters);
        self.request_bytes.merge(&other.request_bytes);
        self.response_bytes.merge(&other.response_bytes);
    }
}

impl Traffic {
    /// What was counted of requests so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let parts: Vec<_> = self.parts.iter().map(lock).collect();
        let book = self.book();
        let counts = |of: fn(&Part) -> &Vec<u64>, id: Id| sum(&parts, of, id);
        let requests = book.requests.iter();
        let replies = book.replies.iter();
        let route = |id: Id| {
            let mut totals = RouteTotals::default();
            of_all(&parts, |part| &part.routes, id).for_each(|part| totals.merge(part));
            totals
        };
        let routes = book.routes.iter();
        Snapshot {
            requests: requests
                .map(|(id, text, of)| (Arc::clone(text), *of, counts(|part| &part.requests, id)))
                .collect(),
            replies: replies.map(|(id, text, of)| (Arc::clone(text), *of, counts(|part| &part.replies, id))).collect(),
            routes: routes
                .map(|(id, text, place)| (Arc::clone(text), Route { id, place: Arc::clone(place), totals: route(id) }))
                .collect(),
        }
    }

    /// The lists of all parts, each by its name.
    pub(crate) fn top(&self, now: u64) -> crate::top::Lists {
        crate::top::Lists::of(self.parts.iter().map(|part| lock(part).top.lists(now)))
    }

    /// Forgets all labels under which nothing was counted since the time before, so that routes that are gone make room.
    pub(crate) fn forget_idle(&self, before: &mut Before) {
        let mut parts: Vec<_> = self.parts.iter().map(lock).collect();
        let mut book = self.book();
        let count = |of: fn(&Part) -> &Vec<u64>| move |parts: &[MutexGuard<'_, Part>], id| sum(parts, of, id);
        let gone = Gone {
            requests: idle(&book.requests, &mut before.requests, |id| count(|part| &part.requests)(&parts, id)),
            replies: idle(&book.replies, &mut before.replies, |id| count(|part| &part.replies)(&parts, id)),
            connections: idle(&book.connections, &mut before.connections, |id| {
                count(|part| &part.connections)(&parts, id)
            }),
            routes: idle(&book.routes, &mut before.routes, |id| {
                of_all(&parts, |part| &part.routes, id).map(|route| route.request_bytes.count).sum()
            }),
            listeners: idle(&book.listeners, &mut before.listeners, |id| {
                of_all(&parts, |part| &part.listeners, id).map(|histogram| histogram.count).sum()
            }),
        };
        parts.iter_mut().for_each(|part| part.forget(&gone));
        book.requests.forget(gone.requests);
        book.replies.forget(gone.replies);
        book.connections.forget(gone.connections);
        book.routes.forget(gone.routes);
        book.listeners.forget(gone.listeners);
    }
}

/// The numbers under which as much is counted as before, in order. What is new is not among them.
fn idle<T>(all: &Numbered<T>, before: &mut Vec<u64>, count: impl Fn(Id) -> u64) -> Vec<Id> {
    let mut gone = Vec::new();
    for (id, ..) in all.iter() {
        let now = count(id);
        if before.len() <= id {
            before.resize(id + 1, 0);
        }
        if std::mem::replace(&mut before[id], now) == now {
            before[id] = 0;
            gone.push(id);
        }
    }
    gone
}

pub(super) fn sum(parts: &[MutexGuard<'_, Part>], of: fn(&Part) -> &Vec<u64>, id: Id) -> u64 {
    parts.iter().filter_map(|part| of(part).get(id)).sum()
}

pub(super) fn of_all<'a, T: 'a>(
    parts: &'a [MutexGuard<'_, Part>],
    of: fn(&Part) -> &Vec<Option<Box<T>>>,
    id: Id,
) -> impl Iterator<Item = &'a T> {
    parts.iter().filter_map(move |part| of(part).get(id)?.as_deref())
}
