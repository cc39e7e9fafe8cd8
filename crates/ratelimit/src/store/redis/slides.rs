//! Hits of sliding windows, each counted for itself: a script that only adds them does that, at half of what the whole one
//! costs. What it finds is what the embedded store keeps, so the rest of the arithmetic is done here.
//!
//! ```text
//! slide.lua: "part:hits part:hits …" before, hits added ─▶ readings ─▶ what is no counter, to the script, which repairs it
//! ```

use std::sync::LazyLock;

use redis::{Cmd, Script, Value};
use smallvec::SmallVec;

use super::groups::Group;
use super::script::{Raw, Scripted};
use crate::algorithm::{Counter, Counting, PARTS, Sliding};
use crate::limit::Algorithm;
use crate::store::{Batch, Charge, PerCharge};

pub(super) const CODE: &str = include_str!("slide.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CODE));

/// The charges of a group as one call.
pub(super) struct Slides<'a> {
    batch: &'a Batch,
    group: &'a Group,
}

impl Scripted for Slides<'_> {
    fn code(&self) -> &'static str {
        CODE
    }

    fn hash(&self) -> &'static str {
        SCRIPT.get_hash()
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let charges = || self.group.charges.iter().map(|index| &self.batch.charges()[*index]);
        let count = self.group.charges.len();
        let bytes: usize = charges().map(|charge| self.batch.windowed_key(charge).len() + 48).sum();
        let mut command = Cmd::with_capacity(4 + count * 4, bytes + script.len() + 64);
        command.arg(name).arg(script).arg(count);
        for charge in charges() {
            command.arg(self.batch.windowed_key(charge));
        }
        command.arg(self.batch.now);
        for Charge { limit, hits, .. } in charges() {
            command.arg(limit.capacity()).arg(limit.unit.as_millis() / PARTS).arg(hits);
        }
        command
    }
}

impl<'a> Slides<'a> {
    /// The group as a call; none where it needs the whole script.
    pub(super) fn of(batch: &'a Batch, group: &'a Group) -> Option<Self> {
        let adds = |index: &usize| {
            let charge = &batch.charges()[*index];
            charge.limit.algorithm == Algorithm::SlidingWindow && charge.adds()
        };
        let each_for_itself = batch.counting == Counting::CountAll && group.charges.iter().all(adds);
        each_for_itself.then_some(Self { batch, group })
    }

    /// Puts what was found to its charges, and gives the charges whose counters are none; nothing when the answer is no
    /// answer of the script.
    pub(super) fn read(&self, answer: &Value, raws: &mut PerCharge<Raw>) -> Option<SmallVec<[usize; 4]>> {
        let Value::Array(found) = answer else { return None };
        let (mut found, mut odd) = (found.iter(), SmallVec::new());
        for index in &self.group.charges {
            let counter = match found.next()? {
                Value::BulkString(text) => Sliding::read(text),
                _ => None,
            };
            match counter {
                Some(counter) => raws[*index] = self.added(&self.batch.charges()[*index], counter),
                None => odd.push(*index),
            }
        }
        Some(odd)
    }

    /// Adds to what was before as the script has.
    fn added(&self, charge: &Charge, counter: Sliding) -> Raw {
        let (Charge { limit, hits, .. }, now) = (charge, self.batch.now);
        let mut counter = Counter::Sliding(Box::new(counter));
        let used = counter.used(limit, now);
        match charge.added(used, self.batch.counting) {
            0 => {}
            delta => counter.add(limit, now, delta),
        }
        Raw { used, times: Some(counter.times(limit, now, *hits)) }
    }
}
