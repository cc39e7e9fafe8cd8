//! Pauses before something is tried again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Pauses of which each is twice as long as the one before, up to the longest.
#[derive(Debug)]
pub struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    /// Pauses that begin with the first one.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause is the first one again.
    pub fn restart(&mut self) {
        self.next = self.first;
    }

    /// Waits.
    pub async fn pause(&mut self) {
        tokio::time::sleep(jittered(self.next)).await;
        self.next = (self.next * 2).min(self.longest);
    }
}

/// Between half of a pause and all of it, so that many services do not try again at the same time.
fn jittered(pause: Duration) -> Duration {
    // The keys of a hasher are random: all the randomness that is needed here.
    let random = RandomState::new().hash_one(0) % 1000;
    pause / 2 + pause * u32::try_from(random).expect("less than 1000") / 2000
}
