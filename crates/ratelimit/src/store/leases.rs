//! Leases: a part of a limit that this service takes at once where it is asked again and again, and then admits from without
//! a call to the store.
//!
//! ```text
//! batch ─▶ all of it is leased? ─ yes ─▶ admitted here
//!                └─ no ─▶ the store, with a spare charge for each limit that is due ─▶ leases to admit from
//! ```
//!
//! What is leased has been counted, so that hits of all services together never are more than the limit when they are
//! counted. They are admitted up to [`Terms::time`] later, though: a span of time can see what was leased before it. That is
//! the bound: a sliding window or a bucket admits at most one lease of each service more than its limit, and a fixed window
//! nothing more, because no lease outlives its window. What is leased and not used is lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Batch, Charge, PerCharge, Readings};
use crate::algorithm::{Reading, fixed_times};
use crate::limit::{Algorithm, Millis};
use crate::metrics::Metrics;

/// How many limits have leases.
const MOST: usize = 65_536;
/// The smallest lease: one hit costs as much as it saves.
const SMALLEST: i64 = 2;

/// How leases are taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Terms {
    /// The largest part of a limit that is leased at once. Default 0.01.
    pub share: f64,
    /// How long a lease lasts. Default 1s.
    #[serde(with = "kit::duration")]
    pub time: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { share: 0.01, time: Duration::from_secs(1) }
    }
}

/// The leases of this service.
#[derive(Debug)]
pub struct Leases {
    share: f64,
    time: Millis,
    table: Mutex<Table<Lease>>,
    metrics: Arc<Metrics>,
}

/// What is leased of one limit, and how often it is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Lease {
    /// Hits that may still be admitted, until then, of a limit that is so large.
    left: i64,
    until: Millis,
    capacity: u64,
    /// What was in use in the store with the lease, and until nothing is.
    used: u64,
    reset: Millis,
    /// When the time began in which hits are counted, and how many they are in it and were in the one before it.
    since: Millis,
    asked: i64,
    before: i64,
    /// Until when no other lease is taken: one is on its way.
    pending: Millis,
}

/// What is to be done with a batch.
#[derive(Debug)]
pub(crate) enum Plan {
    /// It is admitted.
    Admitted(Readings),
    /// The store has to be asked: with spare charges for the limits of these charges, which follow the batch's own.
    Ask(PerCharge<(usize, i64)>),
}

impl Leases {
    /// None is taken yet.
    pub fn new(terms: Terms, metrics: &Arc<Metrics>) -> Self {
        let time = terms.time.as_millis().try_into().unwrap_or(Millis::MAX);
        Self { share: terms.share, time, table: Mutex::new(Table::new(MOST)), metrics: Arc::clone(metrics) }
    }

    /// Forgets all: the rules have changed.
    pub(crate) fn clear(&self) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = Table::new(MOST);
    }

    /// Admits a batch where all of it is leased.
    pub(crate) fn plan(&self, batch: &Batch) -> Plan {
        // Looks and refunds are the store's. Limits that are too small for a lease keep all others of the request from one:
        // the call that they need is the same with them.
        if !batch.charges().iter().all(|charge| charge.adds() && self.largest(charge) >= SMALLEST) {
            return Plan::Ask(PerCharge::new());
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = PerCharge::<usize>::new();
        for charge in batch.charges() {
            let place = table.place(batch.key(charge), batch.now, &places, Lease::default);
            let slot = table.at_mut(place);
            slot.value.ask(charge.hits, batch.now, self.time);
            slot.expires = slot.expires.max(batch.now.saturating_add(self.time.saturating_mul(2)));
            places.push(place);
        }
        let mut readings = Readings::new();
        for (index, (charge, place)) in batch.charges().iter().zip(&places).enumerate() {
            let Some(reading) = table.at_mut(*place).value.admit(charge, batch.now) else {
                for (charge, place) in batch.charges()[..index].iter().zip(&places) {
                    table.at_mut(*place).value.left += charge.hits;
                }
                return Plan::Ask(self.due(&mut table, batch, &places));
            };
            readings.push(reading);
        }
        self.metrics.leased.inc();
        Plan::Admitted(readings)
    }

    /// The charges whose limits are asked for often enough, with the hits to lease.
    fn due(&self, table: &mut Table<Lease>, batch: &Batch, places: &[usize]) -> PerCharge<(usize, i64)> {
        let mut due = PerCharge::new();
        for (index, (charge, place)) in batch.charges().iter().zip(places).enumerate() {
            let lease = &mut table.at_mut(*place).value;
            let hits = lease.before.max(lease.asked - charge.hits).min(self.largest(charge));
            // What is left of one is not thrown away for another.
            let usable = lease.until > batch.now && lease.left > 0;
            if hits >= SMALLEST && !usable && lease.pending <= batch.now {
                lease.pending = batch.now.saturating_add(self.time);
                due.push((index, hits));
            }
        }
        due
    }

    /// Takes what the store says of the spare charges off its readings, and admits from it from now on.
    pub(crate) fn take(&self, batch: &Batch, due: &[(usize, i64)], readings: &mut Readings) {
        let own = readings.len().saturating_sub(due.len());
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for ((index, hits), reading) in due.iter().zip(&readings[own..]) {
            let charge = &batch.charges()[*index];
            let Some(place) = table.find(batch.key(charge)) else { continue };
            let lease = &mut table.at_mut(place).value;
            lease.pending = 0;
            if reading.after > reading.used {
                lease.left = *hits;
                lease.until = ends(charge, batch.now, self.time);
                (lease.capacity, lease.used) = (reading.capacity, reading.after);
                lease.reset = batch.now.saturating_add(reading.reset);
            }
        }
        readings.truncate(own);
    }

    /// The largest lease of a limit.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a part of a limit below 2^32")]
    fn largest(&self, charge: &Charge) -> i64 {
        (charge.limit.capacity() as f64 * self.share).floor() as i64
    }
}

/// When a lease ends: with its window at the latest.
fn ends(charge: &Charge, now: Millis, time: Millis) -> Millis {
    let until = now.saturating_add(time);
    match charge.limit.algorithm {
        Algorithm::FixedWindow => until.min(charge.limit.unit.window_start(now) + charge.limit.unit.as_millis()),
        Algorithm::SlidingWindow | Algorithm::TokenBucket => until,
    }
}

impl Lease {
    /// Counts what is asked for.
    fn ask(&mut self, hits: i64, now: Millis, time: Millis) {
        let passed = now.saturating_sub(self.since);
        if passed >= time {
            self.before = if passed < time.saturating_mul(2) { self.asked } else { 0 };
            (self.since, self.asked) = (now, 0);
        }
        self.asked = self.asked.saturating_add(hits);
    }

    /// Takes hits from what is left.
    fn admit(&mut self, charge: &Charge, now: Millis) -> Option<Reading> {
        let limit = &charge.limit;
        if self.until <= now || self.left < charge.hits || self.capacity != limit.capacity() {
            return None;
        }
        // What is left is not in use yet.
        let used = self.used.saturating_sub(self.left.unsigned_abs());
        self.left -= charge.hits;
        let (reset, _) = match limit.algorithm {
            Algorithm::FixedWindow => fixed_times(limit, now),
            Algorithm::SlidingWindow | Algorithm::TokenBucket => (self.reset.saturating_sub(now), 0),
        };
        Some(Reading::new(limit, charge.hits, used, charge.hits, reset, 0))
    }
}

#[cfg(test)]
mod tests;
