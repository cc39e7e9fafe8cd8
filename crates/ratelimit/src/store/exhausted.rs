//! Limits that are known to be exhausted, so that the store need not be asked about them again and again: what an attacker
//! costs is a look into a table.
//!
//! A limit is remembered until something of it is left again by itself. A refund that another service makes meanwhile is
//! noticed only then; one that comes by this service is noticed at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table::Table;
use super::{Batch, Charge, Weight};
use crate::algorithm::{Reading, fixed_times};
use crate::limit::{Algorithm, Millis};

/// By so many parts of all keys it is known when something was given back last.
const PARTS: usize = 256;

/// Exhausted limits by their key.
#[derive(Debug)]
pub struct Exhausted {
    known: Mutex<Learnt>,
    /// How often something was given back.
    refunds: AtomicU64,
    most: usize,
}

#[derive(Debug)]
struct Learnt {
    table: Table<Known>,
    /// The number of the last refund of each part: what was asked before it says nothing any more.
    refunded: Box<[u64]>,
}

/// What is known of an exhausted limit; until something of it is left is when it expires.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// What it allows: a request may bring a larger limit for the same counter.
    capacity: u64,
    /// When it is whole again, as nothing that is refused from here counts.
    whole: Millis,
}

impl Exhausted {
    /// Remembers at most so many.
    pub fn new(most: usize) -> Self {
        let refunded = vec![0; PARTS].into_boxed_slice();
        Self { known: Mutex::new(Learnt { table: Table::new(most), refunded }), refunds: AtomicU64::new(0), most }
    }

    fn known(&self) -> MutexGuard<'_, Learnt> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all: the rules have changed.
    pub(crate) fn clear(&self) {
        let mut known = self.known();
        known.table = Table::new(self.most);
        let number = self.refunded();
        known.refunded.fill(number);
    }

    /// How many refunds the store's answer to what is asked from now on knows of.
    pub(crate) fn refunds(&self) -> u64 {
        self.refunds.load(Ordering::Acquire)
    }

    /// The number of a refund.
    fn refunded(&self) -> u64 {
        self.refunds.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// What is known of a charge: that it goes over. A look (no hits) and a refund have to be made in the store.
    pub(crate) fn reading(&self, batch: &Batch, charge: &Charge) -> Option<Reading> {
        if charge.hits < 1 {
            return None;
        }
        let learnt = self.known();
        let known = learnt.table.at(learnt.table.find(batch.key(charge))?);
        let left = known.expires.checked_sub(batch.now).filter(|left| *left > 0)?;
        let capacity = charge.limit.capacity();
        if capacity > known.value.capacity {
            return None;
        }
        let (reset, retry) = match charge.limit.algorithm {
            Algorithm::FixedWindow => fixed_times(&charge.limit, batch.now),
            Algorithm::SlidingWindow | Algorithm::TokenBucket => (known.value.whole.saturating_sub(batch.now), left),
        };
        Some(Reading { over: true, capacity, used: capacity, after: capacity, reset, retry })
    }

    /// Learns from what the store says, which was asked when there had been so many refunds.
    pub(crate) fn learn(&self, refunds: u64, batch: &Batch, charge: &Charge, reading: &Reading) {
        if charge.hits < 0 && charge.weight != Weight::Looks {
            return self.give_back(batch.key(charge));
        }
        // When one hit would be admitted is known for fixed windows, and where one was asked for.
        let fixed = charge.limit.algorithm == Algorithm::FixedWindow;
        let known = charge.hits == 1 || fixed;
        if !(reading.over && reading.after >= reading.capacity && known) {
            return;
        }
        let mut learnt = self.known();
        let (key, part) = (batch.key(charge), learnt.part(batch.key(charge)));
        // An answer may be older than a refund that was answered before it.
        if learnt.refunded[part] > refunds {
            return;
        }
        let place = learnt.table.place(key, batch.now, &[], Known::default);
        let slot = learnt.table.at_mut(place);
        // The times of fixed windows count from the second that `now` is in.
        let from = if fixed { batch.now - batch.now % 1000 } else { batch.now };
        slot.value = Known { capacity: reading.capacity, whole: batch.now + reading.reset };
        slot.expires = from + reading.retry;
    }

    fn give_back(&self, key: &[u8]) {
        let mut learnt = self.known();
        let part = learnt.part(key);
        learnt.refunded[part] = self.refunded();
        if let Some(place) = learnt.table.find(key) {
            learnt.table.at_mut(place).expires = 0;
        }
    }
}

impl Learnt {
    fn part(&self, key: &[u8]) -> usize {
        usize::try_from(self.table.hash(key) % self.refunded.len() as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Counting;
    use crate::limit::{Limit, Unit};

    #[test]
    fn what_was_asked_before_a_refund_is_not_learnt_after_it() {
        let of = |hits| {
            let mut batch = Batch::new(1_700_000_000_000, Counting::CountAll);
            batch.push(Limit::fixed(1, Unit::MINUTE), hits, Weight::Refuses, |key| key.push(b'a'), |_| {});
            batch
        };
        let (hit, refund, exhausted) = (of(1), of(-1), Exhausted::new(10));
        let over = Reading { over: true, capacity: 1, used: 1, after: 1, reset: 1000, retry: 1000 };
        let learn = |refunds, batch: &Batch| exhausted.learn(refunds, batch, &batch.charges()[0], &over);
        let known = || exhausted.reading(&hit, &hit.charges()[0]).is_some();
        for forgets in [&|| learn(exhausted.refunds(), &refund), &|| exhausted.clear()] as [&dyn Fn(); 2] {
            let asked = exhausted.refunds();
            forgets();
            learn(asked, &hit);
            assert!(!known(), "it may have been given back since");
            learn(exhausted.refunds(), &hit);
            assert!(known());
        }
    }
}
