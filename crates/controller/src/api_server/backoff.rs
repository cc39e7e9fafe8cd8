//! How long to wait before the API server is asked again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of those who may be thousands, such as statuses to write.
const LAST: Duration = Duration::from_secs(10);
/// The longest wait of those who are few and whom all others wait for: after an outage changes are heard of so soon.
const LAST_OF_FEW: Duration = Duration::from_secs(2);

/// Waits that double with each failure. They are spread, so that many who lost the server at once do not come back at once.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    last: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST, last: LAST }
    }
}

impl Backoff {
    /// For lists and watches, of which there are few.
    pub fn of_few() -> Self {
        Self { last: LAST_OF_FEW, ..Self::default() }
    }

    /// The next wait: between half of it and all of it.
    pub fn wait(&mut self) -> Duration {
        let wait = spread(self.next);
        self.next = (self.next * 2).min(self.last);
        wait
    }

    /// It went well: the next failure begins anew.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// Waits without end, as the client's own watches take them.
impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.wait())
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        Self::reset(self);
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
        let few: Vec<_> = Backoff::of_few().take(20).collect();
        assert!(few.iter().all(|wait| *wait <= LAST_OF_FEW) && few[19] >= LAST_OF_FEW / 2, "{few:?}");
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| spread(LAST)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
