//! One type on one stream: what the client wants, has, was sent and has rejected.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::message::{Moment, Protocol};
use super::nack;
use super::pace::Pace;
use super::subscription::{Interest, Subscription};
use super::warming::no_endpoints;
use crate::ledger::{Outcome, Rejection, TypeRecord};
use crate::order::Kind;
use crate::resource::{Name, Resource, Resources, Version};

/// A response that is not answered yet. There is one at a time: what changes meanwhile goes together into the next.
#[derive(Debug)]
pub(super) struct Flight {
    nonce: Arc<str>,
    pub(super) revision: u64,
    pub(super) sent_at: Instant,
    /// Every new resource in it: its version, and what the client had before.
    updates: Vec<(Name, Version, Option<Arc<Resource>>)>,
}

/// What is to be sent of a type.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) updates: Vec<(Name, Arc<Resource>)>,
    /// Names that were asked for and do not exist, which delta can say.
    pub(super) absent: Vec<Name>,
    /// The client waits for a response even if there is nothing to put into it.
    pub(super) answer_due: bool,
    pub(super) removals: Vec<Name>,
}

impl Plan {
    /// Whether anything is to be sent that does not take away.
    pub(super) fn is_due(&self) -> bool {
        self.answer_due || !self.updates.is_empty() || !self.absent.is_empty()
    }
}

/// One type on one stream.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) subscription: Subscription,
    /// What the client has once it has taken everything that was sent.
    sent: BTreeMap<Name, Arc<Resource>>,
    /// Names to compare with the snapshot.
    dirty: BTreeSet<Name>,
    /// Names to be sent even if the client has them.
    forced: BTreeSet<Name>,
    answer_due: bool,
    /// Parts that a rejected response is sent in again, to find the culprit.
    parts: VecDeque<BTreeSet<Name>>,
    pub(super) flight: Option<Flight>,
    pace: Pace,
    last_nonce: Option<Arc<str>>,
    /// Since when updates, and removals, have been held back for other types.
    pub(super) updates_held: Option<Instant>,
    pub(super) removals_held: Option<Instant>,
    record: TypeRecord,
}

impl Channel {
    /// The snapshot changed in these names.
    pub(super) fn mark(&mut self, changed: Vec<Name>) {
        self.dirty.extend(changed.into_iter().filter(|name| self.subscription.covers(name)));
    }

    /// A request changed what the client wants; `initial` is what it says that it has.
    pub(super) fn apply(&mut self, interest: Interest, initial: &[(String, String)], target: &Resources) {
        if interest.narrowed {
            self.forget_unwanted();
        }
        for (name, version) in initial {
            let resource = Resource::known_by_version(Version::parse(version).unwrap_or(Version::UNKNOWN));
            let name = Name::from(name.as_str());
            self.dirty.insert(name.clone());
            self.sent.insert(name, Arc::new(resource));
        }
        if interest.all {
            self.dirty.extend(self.sent.keys().cloned());
            self.dirty.extend(target.iter().map(|(name, _)| name.clone()));
            // A client that comes with resources is up already and waits for nothing.
            self.answer_due = initial.is_empty();
            if !interest.first {
                self.forced.extend(self.dirty.iter().cloned());
                self.record.rejected.clear();
            }
        }
        for name in interest.asked {
            self.record.rejected.remove(&name);
            if !(interest.first && self.sent.contains_key(&name)) {
                self.forced.insert(name.clone());
            }
            self.dirty.insert(name);
        }
    }

    fn forget_unwanted(&mut self) {
        let Self { subscription, sent, dirty, forced, record, .. } = self;
        sent.retain(|name, _| subscription.covers(name));
        dirty.retain(|name| subscription.covers(name));
        forced.retain(|name| subscription.covers(name));
        record.rejected.retain(|name, _| subscription.covers(name));
    }

    /// Asks for a resource in the client's place, if it has it.
    pub(super) fn send_again(&mut self, name: Name) {
        if self.sent.contains_key(&name) {
            self.dirty.insert(name.clone());
            self.forced.insert(name);
        }
    }

    /// Compares the dirty names with the snapshot; those that need nothing are clean from then on.
    pub(super) fn plan(&mut self, kind: Kind, target: &Resources, protocol: Protocol) -> Plan {
        let mut plan = Plan { answer_due: self.answer_due, ..Plan::default() };
        let Self { subscription, sent, dirty, forced, record, .. } = self;
        dirty.retain(|name| {
            let wanted = if subscription.covers(name) { target.get(name) } else { None };
            let is_forced = forced.contains(name);
            let had = sent.get(name);
            let rejected = record.rejected.get(name).map(|rejection| rejection.version);
            if rejected.is_some() && rejected != wanted.map(|new| new.version()) {
                record.rejected.remove(name);
            }
            match (wanted, had) {
                (Some(new), _) if rejected == Some(new.version()) => {}
                (Some(new), Some(old)) if old.version() == new.version() && !is_forced => {}
                (Some(new), _) => plan.updates.push((name.clone(), Arc::clone(new))),
                (None, Some(_)) => plan.removals.push(name.clone()),
                (None, None) if !is_forced => {}
                (None, None) if protocol == Protocol::Delta => plan.absent.push(name.clone()),
                // State of the world cannot say that there are none, and a cluster that was just added waits for them.
                (None, None) if kind == Kind::Endpoint => plan.updates.push((name.clone(), no_endpoints(name))),
                (None, None) => {}
            }
            let is_due = plan.updates.last().is_some_and(|(last, _)| last == name)
                || plan.absent.last() == Some(name)
                || plan.removals.last() == Some(name);
            if !is_due {
                forced.remove(name);
            }
            is_due
        });
        self.pick_part(&mut plan);
        plan
    }

    /// While a culprit is sought, only the next part is sent, and nothing beside it.
    fn pick_part(&mut self, plan: &mut Plan) {
        while let Some(part) = self.parts.front() {
            if plan.updates.iter().any(|(name, _)| part.contains(name)) {
                plan.updates.retain(|(name, _)| part.contains(name));
                return;
            }
            self.parts.pop_front();
        }
    }

    /// Until when a plan waits for the client to have time. What the client asked for never does.
    pub(super) fn rest(&self, kind: Kind, plan: &Plan, now: Instant) -> Option<Instant> {
        let is_asked_for = |name| self.forced.contains(name) || !self.sent.contains_key(name);
        let is_awaited =
            plan.answer_due || !plan.absent.is_empty() || plan.updates.iter().any(|(name, _)| is_asked_for(name));
        self.pace.waits_until(now).filter(|_| kind.is_built_as_a_whole() && !is_awaited)
    }

    /// Sends the updates of a plan; returns the resources that go into the response. `is_whole`: all that the client
    /// shall have, with it.
    pub(super) fn send(&mut self, plan: &mut Plan, is_whole: bool, mut flight: Flight) -> Vec<(Name, Arc<Resource>)> {
        let updates = std::mem::take(&mut plan.updates);
        for (name, resource) in &updates {
            self.dirty.remove(name);
            self.forced.remove(name);
            let previous = self.sent.insert(name.clone(), Arc::clone(resource));
            flight.updates.push((name.clone(), resource.version(), previous));
        }
        for name in std::mem::take(&mut plan.absent) {
            self.dirty.remove(&name);
            self.forced.remove(&name);
        }
        if !updates.is_empty() {
            self.parts.pop_front();
        }
        self.answer_due = false;
        plan.answer_due = false;
        self.depart(flight);
        if is_whole { self.all_sent() } else { updates }
    }

    /// Takes resources away from the client; as [`Self::send`].
    pub(super) fn remove(&mut self, names: &[Name], is_whole: bool, flight: Flight) -> Vec<(Name, Arc<Resource>)> {
        for name in names {
            self.sent.remove(name);
        }
        self.clean(names);
        self.depart(flight);
        if is_whole { self.all_sent() } else { Vec::new() }
    }

    /// Lets go of names that are dirty. The client keeps what can not be taken away from it, as in state of the world by
    /// name, until it no longer asks for it.
    pub(super) fn clean(&mut self, names: &[Name]) {
        for name in names {
            self.dirty.remove(name);
            self.forced.remove(name);
        }
    }

    fn depart(&mut self, flight: Flight) {
        self.record.sent_nonce = Some(Arc::clone(&flight.nonce));
        self.last_nonce = Some(Arc::clone(&flight.nonce));
        self.flight = Some(flight);
    }

    fn all_sent(&self) -> Vec<(Name, Arc<Resource>)> {
        self.sent.iter().map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect()
    }

    /// Whether a nonce is that of an earlier response than the last: such a request was overtaken.
    pub(super) fn is_stale(&self, nonce: &str) -> bool {
        !nonce.is_empty() && self.last_nonce.as_deref() != Some(nonce)
    }

    /// Takes the answer to the response in flight; `None` when the nonce is not that one's.
    pub(super) fn answer(&mut self, nonce: &str, error: Option<&str>, now: Moment) -> Option<(Flight, Outcome)> {
        let flight = self.flight.take_if(|flight| &*flight.nonce == nonce)?;
        self.pace.answered(flight.sent_at, now.instant);
        let Some(message) = error else {
            self.record.acked_nonce = Some(Arc::clone(&flight.nonce));
            return Some((flight, Outcome::Acked));
        };
        let message: Arc<str> = Arc::from(message);
        self.record.last_nack = Some((Arc::clone(&message), now.wall));
        self.reject(&flight, &message, now);
        Some((flight, Outcome::Nacked(message)))
    }

    /// A rejected response left the client with what it had. The culprits are not sent again; the others are, by
    /// themselves. With no culprit known, halves are sent, and halves of what is rejected of those.
    fn reject(&mut self, flight: &Flight, message: &Arc<str>, now: Moment) {
        // What the client has let go of meanwhile is no longer of interest.
        let updates = || flight.updates.iter().filter(|(name, ..)| self.subscription.covers(name));
        for (name, _, previous) in updates() {
            match previous {
                Some(previous) => drop(self.sent.insert(name.clone(), Arc::clone(previous))),
                None => drop(self.sent.remove(name)),
            }
            self.dirty.insert(name.clone());
        }
        let names: Vec<Name> = flight.updates.iter().map(|(name, ..)| name.clone()).collect();
        let mut culprits = nack::culprits(message, names.iter().cloned());
        match names.as_slice() {
            [only] => culprits = vec![only.clone()],
            [] => {}
            several if culprits.is_empty() => {
                let (one, other) = several.split_at(several.len() / 2);
                self.parts.push_front(other.iter().cloned().collect());
                self.parts.push_front(one.iter().cloned().collect());
            }
            _ => {}
        }
        for (name, version, _) in updates().filter(|(name, ..)| culprits.contains(name)) {
            let own = nack::words_of(message, name, &culprits);
            let message = if own.len() == message.len() { Arc::clone(message) } else { Arc::from(own) };
            let revision = flight.revision;
            let rejection = Rejection { version: *version, revision, message, at: now.wall };
            self.record.rejected.insert(name.clone(), rejection);
        }
    }

    /// Whether the client has taken or rejected everything of the target, when nothing of it is due. `excused`: it need
    /// not ask for all of it.
    pub(super) fn is_answered(&self, kind: Kind, revision: u64, target: &Resources, excused: bool) -> bool {
        let is_answered = |name| self.sent.contains_key(name) || self.record.rejected.contains_key(name);
        let is_complete = || {
            !kind.is_asked_for_in_full()
                || self.subscription.wildcard
                || self.record.acked >= Some(revision)
                || target.iter().all(|(name, _)| is_answered(name))
        };
        self.flight.is_none() && (excused || is_complete())
    }

    /// The client has taken or rejected all of this revision.
    pub(super) fn settle(&mut self, revision: u64) {
        self.record.answered = self.record.answered.max(Some(revision));
    }

    /// The client has all of this revision.
    pub(super) fn take(&mut self, revision: u64) {
        self.record.acked = self.record.acked.max(Some(revision));
    }

    /// Whether the client rejects anything.
    pub(super) fn rejects(&self) -> bool {
        !self.record.rejected.is_empty()
    }

    /// What the ledger shows of it.
    pub(super) fn record(&self) -> TypeRecord {
        TypeRecord {
            wildcard: self.subscription.wildcard,
            names: self.subscription.names.len(),
            resources: self.sent.len(),
            ..self.record.clone()
        }
    }
}

impl Flight {
    pub(super) fn new(nonce: Arc<str>, revision: u64, sent_at: Instant) -> Self {
        Self { nonce, revision, sent_at, updates: Vec::new() }
    }
}
