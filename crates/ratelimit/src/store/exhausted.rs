//! Limits that are known to be exhausted, so that the store need not be asked about them again and again: what an attacker
//! costs is a look into a table.
//!
//! A limit is remembered until something of it is left again by itself. A refund that another service makes meanwhile is
//! noticed only then; one that comes by this service is noticed at once.

use std::sync::{Mutex, PoisonError};

use super::table::Table;
use super::{Batch, Charge, Weight};
use crate::algorithm::{Reading, fixed_times};
use crate::limit::{Algorithm, Millis};

/// Exhausted limits by their key.
#[derive(Debug)]
pub struct Exhausted {
    table: Mutex<Table<Known>>,
    most: usize,
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
        Self { table: Mutex::new(Table::new(most)), most }
    }

    /// Forgets all: the rules have changed.
    pub(crate) fn clear(&self) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = Table::new(self.most);
    }

    /// What is known of a charge: that it goes over. A look (no hits) and a refund have to be made in the store.
    pub(crate) fn reading(&self, batch: &Batch, charge: &Charge) -> Option<Reading> {
        if charge.hits < 1 {
            return None;
        }
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let known = table.at(table.find(batch.key(charge))?);
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

    /// Learns from what the store says.
    pub(crate) fn learn(&self, batch: &Batch, charge: &Charge, reading: &Reading) {
        if charge.hits < 0 && charge.weight != Weight::Looks {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = table.find(batch.key(charge)) {
                table.at_mut(place).expires = 0;
            }
            return;
        }
        // When one hit would be admitted is known for fixed windows, and where one was asked for.
        let fixed = charge.limit.algorithm == Algorithm::FixedWindow;
        let known = charge.hits == 1 || fixed;
        if reading.over && reading.after >= reading.capacity && known {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let place = table.place(batch.key(charge), batch.now, &[], Known::default);
            let slot = table.at_mut(place);
            // The times of fixed windows count from the second that `now` is in.
            let from = if fixed { batch.now - batch.now % 1000 } else { batch.now };
            slot.value = Known { capacity: reading.capacity, whole: batch.now + reading.reset };
            slot.expires = from + reading.retry;
        }
    }
}
