//! Where counters are. A request is one call, whatever the number of its limits.

pub mod memory;

use std::ops::Range;

use smallvec::SmallVec;

use crate::algorithm::{Counting, Reading};
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

/// How each limit of a batch stands, in the order of the charges.
pub type Readings = SmallVec<[Reading; 4]>;

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

    /// The counter's key of a charge of this batch.
    pub fn key(&self, charge: &Charge) -> &[u8] {
        &self.keys[charge.key.clone()]
    }
}
