//! How hits are counted: plain functions of a counter, a limit and a time that is handed in.
//!
//! ```text
//! used(now) ─▶ over? ─▶ added() says how much of the hits counts ─▶ add() ─▶ times(): until reset, until it would be admitted
//! ```
//!
//! The embedded store runs these functions; the script for Redis does the same arithmetic, and a test holds the two together.

mod bucket;
mod fixed;
mod sliding;

use serde::{Deserialize, Serialize};

use crate::limit::{Algorithm, Limit, Millis};

pub use bucket::Bucket;
pub use fixed::Fixed;
pub(crate) use fixed::times as fixed_times;
pub use sliding::{PARTS, Sliding};

/// What counts when a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Counting {
    /// Every limit counts for itself, whatever the others say. Fixed windows count every hit; the other algorithms count
    /// while anything is left, so that a client that keeps asking is not locked out for ever, and the hits that reach the
    /// limit count in full, so that a cost that is known only afterwards is not lost.
    #[default]
    CountAll,
    /// A request that any limit refuses counts nowhere.
    AllOrNothing,
}

/// How a limit stands after a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Whether the hits went over it.
    pub over: bool,
    /// The most that can be in use.
    pub capacity: u64,
    /// Hits in use before the charge.
    pub used: u64,
    /// Hits in use after it.
    pub after: u64,
    /// Until nothing is in use any more, when nothing more comes.
    pub reset: Millis,
    /// Until the same hits would be admitted.
    pub retry: Millis,
}

impl Reading {
    /// What a counter says of which `used` was in use, and to which `delta` was added for `hits`.
    pub fn new(limit: &Limit, hits: i64, used: u64, delta: i64, reset: Millis, retry: Millis) -> Self {
        let (over, capacity) = (is_over(limit, used, hits), limit.capacity());
        Self { over, capacity, used, after: used.saturating_add_signed(delta), reset, retry }
    }

    /// How many of these hits, which were charged, are beyond the limit.
    pub fn hits_over(&self, hits: u64) -> u64 {
        hits.min(self.used.saturating_add(hits).saturating_sub(self.capacity))
    }
}

/// Whether hits would go over a limit of which `used` is in use. None (a look) is over only when more than the limit is in
/// use, which takes hits that count although they are over. A refund never is.
pub fn is_over(limit: &Limit, used: u64, hits: i64) -> bool {
    hits >= 0 && used.saturating_add_signed(hits) > limit.capacity()
}

/// How much is added for `hits`: all of them, none, or for a refund (negative hits) no more than is in use.
pub fn added(limit: &Limit, used: u64, hits: i64, counting: Counting) -> i64 {
    if hits < 0 {
        return hits.max(0_i64.saturating_sub_unsigned(used));
    }
    let over = is_over(limit, used, hits);
    match (counting, limit.algorithm) {
        (Counting::AllOrNothing, _) if over => 0,
        (Counting::CountAll, Algorithm::SlidingWindow | Algorithm::TokenBucket) if over && used >= limit.capacity() => {
            0
        }
        _ => hits,
    }
}

/// One counter.
#[derive(Debug, Clone, PartialEq)]
pub enum Counter {
    /// Of [`Algorithm::FixedWindow`].
    Fixed(Fixed),
    /// Of [`Algorithm::SlidingWindow`].
    Sliding(Box<Sliding>),
    /// Of [`Algorithm::TokenBucket`].
    Bucket(Bucket),
}

impl Counter {
    /// An unused counter.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::FixedWindow => Self::Fixed(Fixed::default()),
            Algorithm::SlidingWindow => Self::Sliding(Box::default()),
            Algorithm::TokenBucket => Self::Bucket(Bucket::default()),
        }
    }

    /// Hits in use at this time.
    pub fn used(&self, limit: &Limit, now: Millis) -> u64 {
        match self {
            Self::Fixed(fixed) => fixed.used(limit, now),
            Self::Sliding(sliding) => sliding.used(limit, now),
            Self::Bucket(bucket) => bucket.used(limit, now),
        }
    }

    /// Adds hits, or takes some back that are in use.
    pub fn add(&mut self, limit: &Limit, now: Millis, delta: i64) {
        match self {
            Self::Fixed(fixed) => fixed.add(limit, now, delta),
            Self::Sliding(sliding) => sliding.add(limit, now, delta),
            Self::Bucket(bucket) => bucket.add(limit, now, delta),
        }
    }

    /// Until nothing is in use any more, and until `hits` would be admitted.
    pub fn times(&self, limit: &Limit, now: Millis, hits: i64) -> (Millis, Millis) {
        match self {
            Self::Fixed(_) => fixed::times(limit, now),
            Self::Sliding(sliding) => sliding.times(limit, now, hits),
            Self::Bucket(bucket) => bucket.times(limit, now, hits),
        }
    }
}

#[cfg(test)]
mod tests;
