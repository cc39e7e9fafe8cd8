//! The protocol of one stream as a plain state machine: requests and snapshots go in, responses come out.
//!
//! ```text
//! receive(request) ─┐                        ┌─ has anything due?  ── no ──▶ settled at this revision
//! set_snapshot() ───┼─▶ dirty names by type ─┤
//! time (wake) ──────┘                        └─ yes: its turn? ([`crate::order`]) ──▶ Response, one in flight a type
//! ```
//!
//! - A type has at most one unanswered response. What changes meanwhile goes together into the next one.
//! - A type's turn comes when the types before it have nothing more to send. Listeners and routes also wait until clusters
//!   have asked for their endpoints and both are acknowledged: Envoy keeps back the acknowledgement of new clusters until
//!   they are warm. What is taken away is taken away when all else is settled.
//! - Changed route tables are sent no faster than Envoy can build them beside its requests: `pace` says how long one waits.
//! - Nothing is held back for longer than `hold`: a client that never answers, or rejects, must not stop the others.

mod channel;
mod message;
mod nack;
mod pace;
mod subscription;
mod warming;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use channel::{Channel, Flight, Plan};
pub use message::{Answer, Moment, Names, Protocol, Request, Response};
use warming::{Warming, endpoints_of};

use crate::ledger::{Outcome, TypeRecord};
use crate::order::Kind;
use crate::resource::Name;
use crate::snapshot::{Snapshot, TypeUrl};

/// For how long a type waits for others before it goes its own way.
pub const HOLD: Duration = Duration::from_secs(5);

/// A type in the order of additions.
type Key = (Kind, TypeUrl);

/// The protocol of one stream.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    hold: Duration,
    snapshot: Option<Arc<Snapshot>>,
    channels: BTreeMap<Key, Channel>,
    warming: Warming,
    last_nonce: u64,
    wake: Option<Instant>,
}

impl Session {
    /// A stream that was just opened. `hold` bounds how long a type waits for others; see [`HOLD`].
    pub fn new(protocol: Protocol, hold: Duration) -> Self {
        // A client is judged by its listeners and routes even before it asks for them.
        let judged = [envoy::type_url::LISTENER, envoy::type_url::SCOPED_ROUTE, envoy::type_url::ROUTE];
        let channels =
            judged.into_iter().map(|url| ((Kind::of(url), TypeUrl::from(url)), Channel::default())).collect();
        let warming = Warming::default();
        Self { protocol, hold, snapshot: None, channels, warming, last_nonce: 0, wake: None }
    }

    /// Takes the snapshot that is in force from now on.
    pub fn set_snapshot(&mut self, next: Arc<Snapshot>) {
        for ((_, url), channel) in &mut self.channels {
            let before = self.snapshot.as_ref().map(|snapshot| snapshot.resources(url)).unwrap_or_default();
            channel.mark(before.changed(&next.resources(url)));
        }
        self.snapshot = Some(next);
    }

    /// Takes a request; returns what it answers, if it answers the last response of its type.
    pub fn receive(&mut self, request: &Request, now: Moment) -> Option<Answer> {
        let kind = Kind::of(&request.type_url);
        let target = self.snapshot.as_ref().map(|snapshot| snapshot.resources(&request.type_url)).unwrap_or_default();
        let channel = self.channels.entry((kind, Arc::clone(&request.type_url))).or_default();
        let answer = channel.answer(&request.nonce, request.error.as_deref(), now);
        match &request.names {
            Names::Delta { subscribe, unsubscribe, initial } => {
                let interest = channel.subscription.delta(subscribe, unsubscribe);
                channel.apply(interest, initial, &target);
            }
            // The list in a request that was overtaken is old; the answer to the last response brings it again.
            Names::Sotw(_) if answer.is_none() && channel.is_stale(&request.nonce) => {}
            Names::Sotw(names) => {
                let interest = channel.subscription.sotw(names, kind.is_whole_in_sotw(), answer.is_some());
                channel.apply(interest, &[], &target);
            }
        }
        let (flight, outcome) = answer?;
        if kind == Kind::Cluster && outcome != Outcome::Acked {
            // The good ones come again, and ask then.
            self.warming.give_up();
        }
        let type_url = Arc::clone(&request.type_url);
        Some(Answer { type_url, revision: flight.revision, sent_at: flight.sent_at, outcome })
    }

    /// What is to be sent now. Nothing until there is a snapshot.
    pub fn poll(&mut self, now: Moment) -> Vec<Response> {
        self.wake = None;
        let Some(snapshot) = self.snapshot.clone() else { return Vec::new() };
        let mut responses = Vec::new();
        let plans = self.send_updates(&snapshot, now, &mut responses);
        self.send_removals(&snapshot, &plans, now, &mut responses);
        responses
    }

    /// When to poll again at the latest, even if nothing happens: a wait is over then.
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// What the ledger shows of each type.
    pub fn records(&self) -> BTreeMap<TypeUrl, TypeRecord> {
        self.channels.iter().map(|((_, url), channel)| (Arc::clone(url), channel.record())).collect()
    }

    /// Sends new and changed resources of the types whose turn it is. Returns what else there is to do for each.
    fn send_updates(&mut self, snapshot: &Snapshot, now: Moment, out: &mut Vec<Response>) -> BTreeMap<Key, Plan> {
        let keys: Vec<Key> = self.channels.keys().cloned().collect();
        let mut plans = BTreeMap::new();
        let mut before = Before::default();
        for key in keys {
            let is_turn = before.lets(key.0, self.is_warm());
            let target = snapshot.resources(&key.1);
            let Some(channel) = self.channels.get_mut(&key) else { continue };
            let mut plan = channel.plan(key.0, &target, self.protocol);
            if !plan.is_due() {
                channel.updates_held = None;
            } else if channel.flight.is_none() {
                let rest = channel.rest(key.0, &plan, now.instant);
                let wait = Wait { is_turn, now: now.instant, hold: self.hold, sooner: before.unanswered_until, rest };
                if wait.is_over(&mut channel.updates_held, &mut self.wake) {
                    if !is_turn {
                        self.warming.give_up();
                    }
                    out.push(self.send(&key, &mut plan, snapshot.revision(), now));
                }
            }
            let flight = self.channels.get(&key).and_then(|channel| channel.flight.as_ref());
            before.add(key.0, plan.is_due(), flight.map(|flight| flight.sent_at + self.hold), now.instant);
            plans.insert(key, plan);
        }
        plans
    }

    fn send(&mut self, key: &Key, plan: &mut Plan, revision: u64, now: Moment) -> Response {
        if key.0 == Kind::Cluster {
            self.expect_endpoints(plan);
        }
        let nonce = self.nonce();
        let removed = plan.absent.clone();
        let is_whole = self.is_whole(key.0);
        let channel = self.channels.entry(key.clone()).or_default();
        let resources = channel.send(plan, is_whole, Flight::new(Arc::clone(&nonce), revision, now.instant));
        Response { type_url: Arc::clone(&key.1), nonce, revision, resources, removed }
    }

    /// Clusters about to be sent will need endpoints: new ones will ask, changed ones are sent theirs without asking.
    fn expect_endpoints(&mut self, plan: &Plan) {
        let url = TypeUrl::from(envoy::type_url::ENDPOINT);
        for name in plan.updates.iter().filter_map(|(name, cluster)| endpoints_of(name, cluster)) {
            if let Some(endpoints) = self.channels.get_mut(&(Kind::Endpoint, Arc::clone(&url))) {
                endpoints.send_again(name.clone());
            }
            self.warming.expect(name);
        }
    }

    /// Whether every cluster sent has asked for its endpoints.
    fn is_warm(&mut self) -> bool {
        let endpoints = (Kind::Endpoint, TypeUrl::from(envoy::type_url::ENDPOINT));
        if let Some(channel) = self.channels.get(&endpoints) {
            self.warming.forget(|name| channel.subscription.covers(name));
        }
        self.warming.is_over()
    }

    /// Takes away what is no longer there, once all else is settled: first what points at others, then what is pointed at.
    fn send_removals(
        &mut self,
        snapshot: &Snapshot,
        plans: &BTreeMap<Key, Plan>,
        now: Moment,
        out: &mut Vec<Response>,
    ) {
        let mut is_turn = self.settle(snapshot, plans) && self.warming.is_over();
        let mut keys: Vec<&Key> = plans.keys().collect();
        keys.sort_by_key(|(kind, _)| kind.removal_rank());
        for key in keys {
            let can_be_said = key.0.can_be_taken_away() && (self.protocol == Protocol::Delta || self.is_whole(key.0));
            let Some((channel, plan)) = self.channels.get_mut(key).zip(plans.get(key)) else { continue };
            if plan.removals.is_empty() {
                channel.removals_held = None;
                continue;
            }
            if !can_be_said {
                channel.clean(&plan.removals);
                continue;
            }
            let wait = Wait { is_turn, now: now.instant, hold: self.hold, sooner: None, rest: None };
            if channel.flight.is_none() && wait.is_over(&mut channel.removals_held, &mut self.wake) {
                out.push(self.remove(key, &plan.removals, snapshot.revision(), now));
            }
            is_turn = false;
        }
    }

    fn remove(&mut self, key: &Key, names: &[Name], revision: u64, now: Moment) -> Response {
        let nonce = self.nonce();
        let is_whole = self.is_whole(key.0);
        let channel = self.channels.entry(key.clone()).or_default();
        let resources = channel.remove(names, is_whole, Flight::new(Arc::clone(&nonce), revision, now.instant));
        let removed = if is_whole { Vec::new() } else { names.to_vec() };
        Response { type_url: Arc::clone(&key.1), nonce, revision, resources, removed }
    }

    /// Notes which types the client has answered, and which it has in full; true when it has all of them.
    fn settle(&mut self, snapshot: &Snapshot, plans: &BTreeMap<Key, Plan>) -> bool {
        let mut all = true;
        // Nobody asks for the route table of a listener that is rejected.
        let any_listener =
            self.channels.iter().any(|((kind, _), channel)| *kind == Kind::Listener && channel.rejects());
        for (key, plan) in plans {
            let Some(channel) = self.channels.get_mut(key) else { continue };
            let target = snapshot.resources(&key.1);
            let revision = snapshot.revision();
            let is_answered = |excused| !plan.is_due() && channel.is_answered(key.0, revision, &target, excused);
            let is_settled = is_answered(false) && !channel.rejects();
            if is_answered(any_listener && key.0 == Kind::Route) {
                channel.settle(revision);
            }
            if is_settled {
                channel.take(revision);
            }
            all &= is_settled;
        }
        all
    }

    fn is_whole(&self, kind: Kind) -> bool {
        self.protocol == Protocol::Sotw && kind.is_whole_in_sotw()
    }

    fn nonce(&mut self) -> Arc<str> {
        self.last_nonce += 1;
        Arc::from(self.last_nonce.to_string())
    }
}

/// What the types before one leave undone.
#[derive(Default)]
struct Before {
    /// One of them has something to send and cannot yet.
    is_due: bool,
    /// Clusters or endpoints are not answered; until when that is waited for.
    unanswered_until: Option<Instant>,
}

impl Before {
    /// Whether it is this type's turn to send updates. One stream keeps the order of what is sent, so most types need not
    /// wait for answers. But what traffic is pointed with waits until the clusters are warm: that is when Envoy
    /// acknowledges them. For the same reason what clusters need to become warm never waits.
    fn lets(&self, kind: Kind, is_warm: bool) -> bool {
        match kind {
            Kind::Endpoint | Kind::Secret => true,
            Kind::Runtime | Kind::Cluster => !self.is_due,
            _ => !self.is_due && self.unanswered_until.is_none() && is_warm,
        }
    }

    fn add(&mut self, kind: Kind, is_due: bool, unanswered_until: Option<Instant>, now: Instant) {
        self.is_due |= is_due;
        let is_awaited = matches!(kind, Kind::Cluster | Kind::Endpoint);
        if let Some(end) = unanswered_until.filter(|end| is_awaited && now < *end) {
            self.unanswered_until = Some(self.unanswered_until.map_or(end, |other| other.min(end)));
        }
    }
}

/// A type that has something to send, and perhaps must wait.
struct Wait {
    is_turn: bool,
    now: Instant,
    hold: Duration,
    /// When there may be a reason to look again before the wait is over.
    sooner: Option<Instant>,
    /// Until when the client has its time to itself.
    rest: Option<Instant>,
}

impl Wait {
    /// Whether it may go now; if not, notes since when it waits and when to look again.
    fn is_over(&self, since: &mut Option<Instant>, wake: &mut Option<Instant>) -> bool {
        if self.rest.is_some() {
            *wake = [*wake, self.rest].into_iter().flatten().min();
            return false;
        }
        let end = *since.get_or_insert(self.now) + self.hold;
        if self.is_turn || self.now >= end {
            *since = None;
            return true;
        }
        *wake = [*wake, Some(end), self.sooner].into_iter().flatten().min();
        false
    }
}

#[cfg(test)]
mod tests;
