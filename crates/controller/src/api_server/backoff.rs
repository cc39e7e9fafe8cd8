//! How long to wait before the API server is asked again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const LAST: Duration = Duration::from_secs(10);

/// Waits that double with each failure. They are spread, so that many who lost the server at once do not come back at once.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait: between half of it and all of it.
    pub fn wait(&mut self) -> Duration {
        let wait = spread(self.0);
        self.0 = (self.0 * 2).min(LAST);
        wait
    }

    /// It went well: the next failure begins anew.
    pub fn reset(&mut self) {
        self.0 = FIRST;
    }
}

/// A time between half of this one and this one.
pub fn spread(time: Duration) -> Duration {
    // Every RandomState has keys of its own, which is chance enough for this.
    let chance = RandomState::new().hash_one(()) % 1000;
    let part = u32::try_from(chance).unwrap_or_default();
    time / 2 + time / 2 * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_spread() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LAST));
        assert!(waits[19] >= LAST / 2);
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| spread(LAST)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
