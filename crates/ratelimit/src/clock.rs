//! The time of this machine, and pauses.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use crate::limit::Millis;

/// Now.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Between half of a pause and all of it, so that many services do not try again at the same time.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // The keys of a hasher are random: all the randomness that is needed here.
    let random = RandomState::new().hash_one(0) % 1000;
    pause / 2 + pause * u32::try_from(random).expect("less than 1000") / 2000
}
