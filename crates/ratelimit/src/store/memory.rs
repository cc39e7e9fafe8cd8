//! The embedded store: counters of this process, in bounded memory.
//!
//! ```text
//! index: key's hash ─▶ place        slots: [ key, counter, when it says nothing any more ] …
//!                                            ▲ the sweeper's hand looks at a few with each new counter
//! ```
//!
//! Counters that have expired make room for new ones. When none of those at hand has, the one that expires first goes, which
//! forgets what it counted: that is counted as an eviction, and a reason to allow more keys.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use super::{Batch, Charge, Readings};
use crate::algorithm::{Counter, Counting, Reading, added, is_over};
use crate::limit::{Algorithm, Millis};

/// How many slots are looked at for one to reuse.
const LOOK: usize = 8;

/// Counters of this process. All charges of a batch happen at once.
#[derive(Debug)]
pub struct Memory {
    table: Mutex<Table>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Table {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    hand: usize,
    most: usize,
    evictions: u64,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    key: Box<[u8]>,
    counter: Counter,
    expires: Millis,
}

impl Memory {
    /// A store of at most so many counters, at least as many as one request may need.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1024, u32::MAX as usize);
        let table = Table { index: HashTable::new(), slots: Vec::new(), hand: 0, most, evictions: 0 };
        Self { table: Mutex::new(table), hasher: DefaultHashBuilder::default() }
    }

    /// Charges a batch.
    pub fn charge(&self, batch: &Batch) -> Readings {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = PerCharge::<usize>::new();
        for charge in batch.charges() {
            let key = batch.key(charge);
            let place = table.place(self.hasher.hash_one(key), key, charge.limit.algorithm, batch.now, &places);
            places.push(place);
        }
        let (deltas, used) = table.weigh(batch, &places);
        let mut readings = Readings::new();
        for (index, charge) in batch.charges().iter().enumerate() {
            let slot = &mut table.slots[places[index]];
            let limit = &charge.limit;
            if deltas[index] != 0 {
                slot.counter.add(limit, batch.now, deltas[index]);
            }
            let (reset, retry) = slot.counter.times(limit, batch.now, charge.hits);
            slot.expires = slot.expires.max(batch.now + reset);
            readings.push(Reading {
                used: used[index],
                after: used[index].saturating_add_signed(deltas[index]),
                reset,
                retry,
            });
        }
        readings
    }

    /// Counters that are kept now.
    pub fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many counters were forgotten for want of room.
    pub fn evictions(&self) -> u64 {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).evictions
    }
}

type PerCharge<T> = SmallVec<[T; 4]>;

impl Table {
    /// What is to be added for each charge, and what was in use before it. Charges of one counter follow each other.
    fn weigh(&self, batch: &Batch, places: &[usize]) -> (PerCharge<i64>, PerCharge<u64>) {
        let (mut deltas, mut used) = (PerCharge::<i64>::new(), PerCharge::<u64>::new());
        let mut refused = false;
        for (index, charge) in batch.charges().iter().enumerate() {
            let before = places[..index].iter().zip(&deltas).filter(|(place, _)| **place == places[index]);
            let pending: i64 = before.map(|(_, delta)| delta).sum();
            let Charge { limit, hits, enforced, .. } = charge;
            let now_used = self.slots[places[index]].counter.used(limit, batch.now).saturating_add_signed(pending);
            refused |= *enforced && *hits >= 0 && is_over(limit, now_used, *hits);
            deltas.push(added(limit, now_used, *hits, batch.counting));
            used.push(now_used);
        }
        if refused && batch.counting == Counting::AllOrNothing {
            deltas.iter_mut().for_each(|delta| *delta = 0);
        }
        (deltas, used)
    }

    fn place(&mut self, hash: u64, key: &[u8], algorithm: Algorithm, now: Millis, taken: &[usize]) -> usize {
        let found = self.index.find(hash, |place| *self.slots[*place as usize].key == *key);
        if let Some(place) = found {
            return *place as usize;
        }
        let slot = Slot { hash, key: key.into(), counter: Counter::new(algorithm), expires: now };
        let place = match self.free(now, taken) {
            Some(place) => {
                self.forget(place);
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        let slots = &self.slots;
        let number = u32::try_from(place).expect("the number of slots is bounded");
        self.index.insert_unique(hash, number, |place| slots[*place as usize].hash);
        place
    }

    /// A slot to use again, of those that the batch has not taken: an expired one at hand; when the store is full, else the
    /// one at hand that expires first.
    fn free(&mut self, now: Millis, taken: &[usize]) -> Option<usize> {
        let looked = LOOK.min(self.slots.len());
        let mut first = None;
        for _ in 0..looked {
            self.hand = (self.hand + 1) % self.slots.len();
            if taken.contains(&self.hand) {
                continue;
            }
            let expires = self.slots[self.hand].expires;
            if expires < now {
                return Some(self.hand);
            }
            if first.is_none_or(|(soonest, _)| expires < soonest) {
                first = Some((expires, self.hand));
            }
        }
        if self.slots.len() < self.most {
            return None;
        }
        // All at hand may be taken; then the store grows by a few beyond its bound.
        let (_, place) = first?;
        self.evictions += 1;
        Some(place)
    }

    fn forget(&mut self, place: usize) {
        let hash = self.slots[place].hash;
        if let Ok(entry) = self.index.find_entry(hash, |known| *known as usize == place) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests;
