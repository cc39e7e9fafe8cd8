//! Where counters are. A request is one call, whatever the number of its limits.

mod exhausted;
mod fallback;
mod leases;
pub mod memory;
pub mod redis;
mod table;

use std::ops::Range;

use smallvec::SmallVec;

use crate::algorithm::{Counting, Reading, added, is_over};
use crate::limit::{Limit, Millis};
use leases::Plan;
use redis::{Partial, Unanswered};

/// All that a request is to be charged.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    keys: Vec<u8>,
    charges: SmallVec<[Charge; 4]>,
    /// The time of all charges.
    pub now: Millis,
    /// What counts when one of them refuses.
    pub counting: Counting,
}

/// What one limit is charged.
#[derive(Debug, Clone)]
pub struct Charge {
    key: Range<usize>,
    /// The key with the window in it.
    windowed: Range<usize>,
    /// The limit.
    pub limit: Limit,
    /// Hits to add; fewer than none to give some back.
    pub hits: i64,
    /// What going over the limit means.
    pub weight: Weight,
}

/// What it means that a charge goes over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The request is refused.
    Refuses,
    /// Nothing: it is only counted.
    Counts,
    /// That it was not asked for: it counts only where all of it fits.
    Spare,
    /// What it would mean: it counts nowhere.
    Looks,
}

impl Charge {
    /// Whether it refuses the request when so much is in use.
    pub(crate) fn refuses(&self, used: u64) -> bool {
        self.weight == Weight::Refuses && is_over(&self.limit, used, self.hits)
    }

    /// How much of it is added when so much is in use.
    pub(crate) fn added(&self, used: u64, counting: Counting) -> i64 {
        match self.weight {
            Weight::Looks => 0,
            Weight::Spare => added(&self.limit, used, self.hits, Counting::AllOrNothing),
            Weight::Refuses | Weight::Counts => added(&self.limit, used, self.hits, counting),
        }
    }

    /// Whether it adds hits as they were asked for.
    fn adds(&self) -> bool {
        self.hits > 0 && matches!(self.weight, Weight::Refuses | Weight::Counts)
    }
}

/// One value for each charge of a batch.
pub(crate) type PerCharge<T> = SmallVec<[T; 4]>;

/// How each limit of a batch stands, in the order of the charges.
pub type Readings = SmallVec<[Reading; 4]>;

pub use exhausted::Exhausted;
pub use fallback::Fallback;
pub use leases::{Leases, Terms};

/// A store.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(memory::Memory),
    /// In Redis.
    Redis(Box<Remote>),
}

/// Redis, with what is done when it does not answer.
#[derive(Debug)]
pub struct Remote {
    /// Redis itself.
    pub redis: redis::Redis,
    /// Answers without it.
    pub fallback: Fallback,
    /// What is taken of limits ahead, where that is wanted.
    pub leases: Option<Leases>,
}

impl Store {
    /// Charges a batch; always answers, and says which charges were answered without the store.
    pub(crate) async fn charge(&self, batch: &Batch) -> (Readings, PerCharge<usize>) {
        match self {
            Self::Memory(memory) => (memory.charge(batch), PerCharge::new()),
            Self::Redis(remote) => remote.charge(batch).await,
        }
    }

    /// Other rules are in force from now on.
    pub(crate) fn rules_changed(&self) {
        if let Self::Redis(remote) = self
            && let Some(leases) = &remote.leases
        {
            leases.clear();
        }
    }
}

impl Remote {
    async fn charge(&self, batch: &Batch) -> (Readings, PerCharge<usize>) {
        let due = match self.leases.as_ref().map(|leases| leases.plan(batch)) {
            None => PerCharge::new(),
            Some(Plan::Admitted(readings)) => return (readings, PerCharge::new()),
            Some(Plan::Ask(due)) => due,
        };
        let charged = match &self.leases {
            Some(leases) if !due.is_empty() => match self.redis.charge(&batch.with_spares(&due)).await {
                Ok(mut readings) => {
                    leases.take(batch, &due, &mut readings);
                    Ok(readings)
                }
                Err(Unanswered::Some(mut partial)) => {
                    leases.take(batch, &due, &mut partial.readings);
                    partial.missing.retain(|index| *index < batch.charges.len());
                    Err(Unanswered::Some(partial))
                }
                failed => failed,
            },
            _ => self.redis.charge(batch).await,
        };
        match charged {
            Ok(readings) => (readings, PerCharge::new()),
            Err(Unanswered::Some(partial)) => self.complete(batch, *partial),
            Err(Unanswered::All(failure)) => {
                (self.fallback.charge(batch, failure.reason()), (0..batch.charges.len()).collect())
            }
        }
    }

    /// What was not answered is answered for, and the rest stands.
    fn complete(&self, batch: &Batch, partial: Partial) -> (Readings, PerCharge<usize>) {
        let Partial { mut readings, missing, failure, refused } = partial;
        if missing.is_empty() {
            return (readings, missing);
        }
        let mut rest = batch.only(&missing);
        if refused && batch.counting == Counting::AllOrNothing {
            rest.look_only();
        }
        for (index, reading) in missing.iter().zip(self.fallback.charge(&rest, failure.reason())) {
            readings[*index] = reading;
        }
        (readings, missing)
    }
}

impl Batch {
    /// Nothing to charge yet.
    pub fn new(now: Millis, counting: Counting) -> Self {
        Self { now, counting, ..Self::default() }
    }

    /// Adds a charge. `key` appends the counter's key, and `window` what sets one window of it apart.
    pub fn push(
        &mut self,
        limit: Limit,
        hits: i64,
        weight: Weight,
        key: impl FnOnce(&mut Vec<u8>),
        window: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.keys.len();
        key(&mut self.keys);
        let end = self.keys.len();
        window(&mut self.keys);
        self.charges.push(Charge { key: start..end, windowed: start..self.keys.len(), limit, hits, weight });
    }

    /// The same, where a counter's key in Redis is another one, which `windowed` appends.
    pub(crate) fn push_apart(
        &mut self,
        limit: Limit,
        hits: i64,
        weight: Weight,
        key: impl FnOnce(&mut Vec<u8>),
        windowed: impl FnOnce(&mut Vec<u8>),
    ) {
        self.push(limit, hits, weight, key, |_| {});
        let start = self.keys.len();
        windowed(&mut self.keys);
        if let Some(charge) = self.charges.last_mut() {
            charge.windowed = start..self.keys.len();
        }
    }

    /// The same with more hits for the limits of these charges, which count only where all of them fit.
    pub(crate) fn with_spares(&self, spares: &[(usize, i64)]) -> Self {
        let mut batch = self.clone();
        let spare = |(index, hits): &(usize, i64)| Charge {
            hits: *hits,
            weight: Weight::Spare,
            ..self.charges[*index].clone()
        };
        batch.charges.extend(spares.iter().map(spare));
        batch
    }

    /// Some of its charges.
    fn only(&self, charges: &[usize]) -> Self {
        let charges = charges.iter().map(|index| self.charges[*index].clone()).collect();
        Self { keys: self.keys.clone(), charges, now: self.now, counting: self.counting }
    }

    /// The charge that was added last.
    pub(crate) fn last(&self) -> Option<&Charge> {
        self.charges.last()
    }

    /// Takes back the charge that was added last.
    pub(crate) fn pop(&mut self) {
        if let Some(charge) = self.charges.pop() {
            self.keys.truncate(charge.key.start);
        }
    }

    /// Makes all charges looks, which count nothing and are answered as if they did.
    pub(crate) fn look_only(&mut self) {
        self.charges.iter_mut().for_each(|charge| charge.weight = Weight::Looks);
    }

    /// The charges.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The same charges against other limits.
    pub(crate) fn with_limits(&self, limit: impl Fn(&Limit) -> Limit) -> Self {
        let charge = |charge: &Charge| Charge { limit: limit(&charge.limit), ..charge.clone() };
        let charges = self.charges.iter().map(charge).collect();
        Self { keys: self.keys.clone(), charges, now: self.now, counting: self.counting }
    }

    /// What a charge's counter is known by in this process, the same for all windows.
    pub fn key(&self, charge: &Charge) -> &[u8] {
        &self.keys[charge.key.clone()]
    }

    /// The key with the window in it, for stores in which each fixed window is a counter of its own.
    pub fn windowed_key(&self, charge: &Charge) -> &[u8] {
        &self.keys[charge.windowed.clone()]
    }
}
