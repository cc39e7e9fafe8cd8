//! The embedded store: counters of this process, in bounded memory. One that is forgotten for want of room forgets what it
//! counted; that is a metric, and a reason to allow more keys.

use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use super::table::Table;
use super::{Batch, PerCharge, Readings};
use crate::algorithm::{Counter, Counting, Reading};
use crate::metrics::Metrics;

/// Counters of this process. All charges of a batch happen at once.
#[derive(Debug)]
pub struct Memory {
    table: Mutex<Table<Counter>>,
    metrics: Option<Arc<Metrics>>,
}

impl Memory {
    /// A store of at most so many counters.
    pub fn new(most: usize) -> Self {
        Self { table: Mutex::new(Table::new(most)), metrics: None }
    }

    /// The same, whose size and losses are metrics.
    #[must_use]
    pub fn measured(self, metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Some(Arc::clone(metrics)), ..self }
    }

    /// Charges a batch.
    pub fn charge(&self, batch: &Batch) -> Readings {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = PerCharge::<usize>::new();
        for charge in batch.charges() {
            let make = || Counter::new(charge.limit.algorithm);
            places.push(table.place(batch.key(charge), batch.now, &places, make));
        }
        if let Some(metrics) = &self.metrics {
            metrics.memory_keys.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
            metrics.evictions.inc_by(table.evictions() - metrics.evictions.get());
        }
        let (deltas, used) = weigh(&table, batch, &places);
        let mut readings = Readings::new();
        for (index, charge) in batch.charges().iter().enumerate() {
            let slot = table.at_mut(places[index]);
            if deltas[index] != 0 {
                slot.value.add(&charge.limit, batch.now, deltas[index]);
            }
            let (reset, retry) = slot.value.times(&charge.limit, batch.now, charge.hits);
            slot.expires = slot.expires.max(batch.now + reset);
            readings.push(Reading::new(&charge.limit, charge.hits, used[index], deltas[index], reset, retry));
        }
        readings
    }

    /// Counters that are kept, the expired ones among them.
    pub fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many live counters were forgotten for want of room.
    pub fn evictions(&self) -> u64 {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).evictions()
    }
}

/// What is to be added for each charge, and what was in use before it. Charges of one counter follow each other.
fn weigh(table: &Table<Counter>, batch: &Batch, places: &[usize]) -> (PerCharge<i64>, PerCharge<u64>) {
    let (mut deltas, mut used) = (PerCharge::<i64>::new(), SmallVec::new());
    let mut refused = false;
    for (index, charge) in batch.charges().iter().enumerate() {
        let before = places[..index].iter().zip(&deltas).filter(|(place, _)| **place == places[index]);
        let pending: i64 = before.map(|(_, delta)| delta).sum();
        let now_used = table.at(places[index]).value.used(&charge.limit, batch.now).saturating_add_signed(pending);
        refused |= charge.refuses(now_used);
        deltas.push(charge.added(now_used, batch.counting));
        used.push(now_used);
    }
    if refused && batch.counting == Counting::AllOrNothing {
        deltas.iter_mut().for_each(|delta| *delta = 0);
    }
    (deltas, used)
}

#[cfg(test)]
mod tests;
