//! What one lane has counted.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Bounds, RouteTotals, Said};
use crate::book::Id;
use crate::entry::{Connection, Request};
use crate::histogram::{Exemplar, Histogram};
use crate::metrics::Name;
use crate::reason::Reason;
use crate::top::Sketches;

/// What was seen is kept up to so many times the cap of requests: sets of labels have several names in Envoy, such as one for
/// each match of a rule. Beyond, it is learnt anew.
const SEEN_FOR_EACH: usize = 4;

/// What identifies an entry for counting; two that agree in all of it are counted alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Which<'a> {
    names: [&'a [u8]; 3],
    origin: Id,
    flags: u32,
    rest: u64,
}

/// The same, kept: the names one behind the other.
#[derive(Debug)]
struct Seen {
    hash: u64,
    names: Box<[u8]>,
    ends: [usize; 2],
    origin: Id,
    flags: u32,
    rest: u64,
    known: Known,
}

/// The numbers under which an entry is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Of the request, or the connection.
    pub(crate) request: Id,
    /// Of the route, or the listener.
    pub(crate) route: Id,
    /// Of the local reply.
    pub(crate) reply: Option<Id>,
    /// Metrics that had no room for it.
    pub(crate) capped: [Option<Name>; 3],
}

/// One lane's part.
#[derive(Debug, Default)]
pub(crate) struct Part {
    hasher: DefaultHashBuilder,
    seen: HashTable<Seen>,
    pub(super) requests: Vec<u64>,
    pub(super) replies: Vec<u64>,
    pub(super) connections: Vec<u64>,
    pub(super) routes: Vec<Option<Box<RouteTotals>>>,
    pub(super) listeners: Vec<Option<Box<Histogram>>>,
    pub(crate) top: Sketches,
}

impl<'a> Which<'a> {
    pub(super) fn of_request(request: &Request<'a>, origin: Id, reason: Option<Reason>) -> Self {
        let common = &request.common;
        let port = if common.listener.is_empty() { common.port & 0xffff } else { 0 };
        let reason = reason.map_or(0, Reason::number);
        let rest = u64::from(request.code)
            | u64::from(request.method) << 16
            | u64::from(request.protocol) << 24
            | u64::from(reason) << 32
            | u64::from(port) << 40;
        Self { names: [common.listener, common.route, common.cluster], origin, flags: common.flags, rest }
    }

    pub(super) fn of_connection(connection: &Connection<'a>, origin: Id) -> Self {
        let common = &connection.common;
        let port = u64::from(common.port & 0xffff);
        let rest = port | 1 << 63;
        Self { names: [common.listener, &[], common.cluster], origin, flags: common.flags, rest }
    }
}

impl Seen {
    fn is(&self, which: &Which<'_>) -> bool {
        let [first, second] = self.ends;
        let names = [&self.names[..first], &self.names[first..second], &self.names[second..]];
        names == which.names && (self.origin, self.flags, self.rest) == (which.origin, which.flags, which.rest)
    }
}

impl Part {
    fn hash(&self, which: &Which<'_>) -> u64 {
        self.hasher.hash_one(which)
    }

    /// The numbers of what was seen before.
    pub(super) fn find(&self, which: &Which<'_>) -> Option<Known> {
        self.seen.find(self.hash(which), |seen| seen.is(which)).map(|seen| seen.known)
    }

    /// Keeps the numbers of what was never seen.
    pub(super) fn learn(&mut self, which: &Which<'_>, known: Known, cap: usize) {
        if self.seen.len() >= SEEN_FOR_EACH * cap {
            self.seen.clear();
        }
        let [listener, route, cluster] = which.names;
        let seen = Seen {
            hash: self.hash(which),
            names: [listener, route, cluster].concat().into(),
            ends: [listener.len(), listener.len() + route.len()],
            origin: which.origin,
            flags: which.flags,
            rest: which.rest,
            known,
        };
        self.seen.insert_unique(seen.hash, seen, |seen| seen.hash);
    }

    pub(super) fn add_request(&mut self, known: &Known, request: &Request<'_>, bounds: &Bounds) {
        *at(&mut self.requests, known.request) += 1;
        if let Some(reply) = known.reply {
            *at(&mut self.replies, reply) += 1;
        }
        at(&mut self.routes, known.route).get_or_insert_default().add(request, bounds);
    }

    pub(super) fn add_connection(&mut self, known: &Known, connection: &Connection<'_>, bounds: &Bounds) {
        *at(&mut self.connections, known.request) += 1;
        let lasted = connection.common.duration.or(connection.common.to_client).unwrap_or_default();
        at(&mut self.listeners, known.route).get_or_insert_default().observe(&bounds.seconds, lasted, None);
    }

    /// Forgets these: their numbers will be others'.
    pub(super) fn forget(&mut self, gone: &Gone) {
        self.seen.retain(|seen| {
            let is_connection = seen.rest >> 63 == 1;
            let known = &seen.known;
            if is_connection {
                !gone.connections.contains(&known.request) && !gone.listeners.contains(&known.route)
            } else {
                let reply = known.reply.is_some_and(|reply| gone.replies.contains(&reply));
                !gone.requests.contains(&known.request) && !gone.routes.contains(&known.route) && !reply
            }
        });
        let clear = |counts: &mut Vec<u64>, ids: &[Id]| {
            ids.iter().for_each(|id| counts.get_mut(*id).into_iter().for_each(|count| *count = 0));
        };
        clear(&mut self.requests, &gone.requests);
        clear(&mut self.replies, &gone.replies);
        clear(&mut self.connections, &gone.connections);
        gone.routes.iter().for_each(|id| drop(self.routes.get_mut(*id).and_then(Option::take)));
        gone.listeners.iter().for_each(|id| drop(self.listeners.get_mut(*id).and_then(Option::take)));
    }
}

/// What nobody has met for long, in order.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) requests: Vec<Id>,
    pub(super) replies: Vec<Id>,
    pub(super) routes: Vec<Id>,
    pub(super) connections: Vec<Id>,
    pub(super) listeners: Vec<Id>,
}

impl RouteTotals {
    fn add(&mut self, request: &Request<'_>, bounds: &Bounds) {
        let common = &request.common;
        if *self.said.text != *common.objectives {
            self.said = Said { text: common.objectives.into(), at: common.start };
        }
        self.received += if common.received == 0 { request.request_bytes } else { common.received };
        self.sent += if common.sent == 0 { request.response_bytes } else { common.sent };
        if let Some(whole) = common.to_client.or(common.duration) {
            self.whole.observe(&bounds.seconds, whole, exemplar(request, whole));
        }
        if let Some(to) = common.to_upstream {
            self.filters.observe(&bounds.seconds, to, None);
            if let Some(from) = common.from_upstream {
                self.upstream.observe(&bounds.seconds, (from - to).max(0.0), None);
            }
        }
        self.request_bytes.observe(&bounds.bytes, number(request.request_bytes), None);
        self.response_bytes.observe(&bounds.bytes, number(request.response_bytes), None);
    }
}

fn exemplar(request: &Request<'_>, value: f64) -> Option<Exemplar> {
    let trace = request.common.trace()?;
    Some(Exemplar { trace, value, time: request.common.start + value })
}

#[allow(clippy::cast_precision_loss, reason = "sizes below 2^52")]
fn number(bytes: u64) -> f64 {
    bytes as f64
}

/// The place of a number, made when it is not there yet.
fn at<T: Default>(list: &mut Vec<T>, id: Id) -> &mut T {
    if list.len() <= id {
        list.resize_with(id + 1, T::default);
    }
    &mut list[id]
}
