//! Where counters are. A request is one call, whatever the number of its limits.

mod fallback;
pub mod memory;
pub mod redis;
mod table;

use std::ops::Range;

use smallvec::SmallVec;

use crate::algorithm::{Counting, Reading, is_over};
use crate::limit::{Limit, Millis};

/// All that a request is to be charged.
#[derive(Debug, Default)]
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
    /// The limit.
    pub limit: Limit,
    /// Hits to add; fewer than none to give some back.
    pub hits: i64,
    /// Whether going over the limit refuses the request.
    pub enforced: bool,
}

impl Charge {
    /// Whether it refuses the request when so much is in use.
    pub(crate) fn refuses(&self, used: u64) -> bool {
        self.enforced && self.hits >= 0 && is_over(&self.limit, used, self.hits)
    }
}

/// One value for each charge of a batch.
pub(crate) type PerCharge<T> = SmallVec<[T; 4]>;

/// How each limit of a batch stands, in the order of the charges.
pub type Readings = SmallVec<[Reading; 4]>;

pub use fallback::Fallback;

/// A store.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(memory::Memory),
    /// In Redis, with what is done when that does not answer.
    Redis(redis::Redis, Fallback),
}

impl Store {
    /// Charges a batch; always answers.
    pub async fn charge(&self, batch: &Batch) -> Readings {
        match self {
            Self::Memory(memory) => memory.charge(batch),
            Self::Redis(redis, fallback) => match redis.charge(batch).await {
                Ok(readings) => readings,
                Err(failure) => fallback.charge(batch, failure.reason()),
            },
        }
    }
}

impl Batch {
    /// Nothing to charge yet.
    pub fn new(now: Millis, counting: Counting) -> Self {
        Self { now, counting, ..Self::default() }
    }

    /// Adds a charge; `key` appends the counter's key.
    pub fn push(&mut self, limit: Limit, hits: i64, enforced: bool, key: impl FnOnce(&mut Vec<u8>)) {
        let start = self.keys.len();
        key(&mut self.keys);
        self.charges.push(Charge { key: start..self.keys.len(), limit, hits, enforced });
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

    /// The counter's key of a charge of this batch.
    pub fn key(&self, charge: &Charge) -> &[u8] {
        &self.keys[charge.key.clone()]
    }
}
