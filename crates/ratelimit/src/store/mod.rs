//! Where counters are. A request is one call, whatever the number of its limits.

mod exhausted;
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
    /// Where the key ends with the window in it.
    windowed: usize,
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

pub use exhausted::Exhausted;
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
    /// Charges a batch; always answers, and says whether the store did.
    pub async fn charge(&self, batch: &Batch) -> (Readings, bool) {
        match self {
            Self::Memory(memory) => (memory.charge(batch), true),
            Self::Redis(redis, fallback) => match redis.charge(batch).await {
                Ok(readings) => (readings, true),
                Err(failure) => (fallback.charge(batch, failure.reason()), false),
            },
        }
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
        enforced: bool,
        key: impl FnOnce(&mut Vec<u8>),
        window: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.keys.len();
        key(&mut self.keys);
        let end = self.keys.len();
        window(&mut self.keys);
        self.charges.push(Charge { key: start..end, windowed: self.keys.len(), limit, hits, enforced });
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

    /// Makes all charges looks, which count nothing.
    pub(crate) fn look_only(&mut self) {
        self.charges.iter_mut().for_each(|charge| charge.hits = 0);
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

    /// The counter's key of a charge of this batch, the same for all windows.
    pub fn key(&self, charge: &Charge) -> &[u8] {
        &self.keys[charge.key.clone()]
    }

    /// The key with the window in it, for stores in which each fixed window is a counter of its own.
    pub fn windowed_key(&self, charge: &Charge) -> &[u8] {
        &self.keys[charge.key.start..charge.windowed]
    }
}
