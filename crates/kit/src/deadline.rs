//! Deadlines of calls that come one after the other, and are mostly answered before.
//!
//! A timer that ends before all others of its runtime costs two system calls when it is set: the runtime wakes itself, so as
//! not to sleep too long. Of calls that come alone each sets such a timer. So where calls come often a lane has a timer of
//! its own that comes round and ends a little before theirs: then theirs cost nothing.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, Timeout, sleep};

use crate::lanes::Lanes;

/// How many calls a round has to spare, so that it is worth its own wake-up.
const WORTH: u32 = 8;

thread_local! {
    static ROUND: Round = const { Round::new() };
}

/// The timer of a lane.
struct Round {
    /// Whether it is set.
    comes: Cell<bool>,
    /// Calls since it was set.
    calls: Cell<u32>,
    /// The shortest time that one of them may take.
    span: Cell<Option<Duration>>,
    /// When a call was made last, while it is not set.
    last: Cell<Option<Instant>>,
}

/// Waits for `work` no longer than that.
pub fn timeout_at<F: Future>(until: Instant, work: F) -> Timeout<F> {
    if Lanes::current().is_some() {
        ROUND.with(|round| round.spare(until));
    }
    tokio::time::timeout_at(until, work)
}

impl Round {
    const fn new() -> Self {
        Self { comes: Cell::new(false), calls: Cell::new(0), span: Cell::new(None), last: Cell::new(None) }
    }

    /// A call is made that may take until then.
    fn spare(&self, until: Instant) {
        let now = Instant::now();
        let span = until.saturating_duration_since(now);
        self.span.set(Some(self.span.get().map_or(span, |shortest| shortest.min(span))));
        if self.comes.get() {
            self.calls.set(self.calls.get() + 1);
        } else if self.last.replace(Some(now)).is_some_and(|last| (now - last) * WORTH < span) {
            self.comes.set(true);
            tokio::spawn(come_round());
        }
    }

    /// How long to wait until it is looked at again; nothing when there are too few calls for that.
    fn next(&self) -> Option<Duration> {
        let often = self.calls.replace(0) >= WORTH;
        let span = self.span.take().filter(|_| often);
        self.comes.set(span.is_some());
        // Before any of theirs, of which the next one may be set at once, and timers are of a millisecond.
        span.map(|span| span - span / WORTH)
    }
}

/// Lasts as long as calls come often.
async fn come_round() {
    ROUND.with(|round| round.calls.set(WORTH));
    while let Some(span) = ROUND.with(Round::next) {
        sleep(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DEADLINE;

    #[tokio::test]
    async fn a_lane_has_a_timer_of_its_own_while_calls_come_often() {
        let comes = || ROUND.with(|round| round.comes.get());
        let soon = || Instant::now() + Duration::from_millis(100);
        let calls = async move {
            timeout_at(soon(), async {}).await.unwrap();
            assert!(!comes(), "a call that is alone needs none");
            while !comes() {
                timeout_at(soon(), async {}).await.unwrap();
            }
            let late = timeout_at(soon(), std::future::pending::<()>()).await;
            assert!(late.is_err());
            while comes() {
                tokio::task::yield_now().await;
            }
        };
        let lanes = Lanes::start().unwrap();
        let calls = lanes.runtimes().next().unwrap().spawn(tokio::time::timeout(DEADLINE, calls));
        calls.await.unwrap().expect("no calls, no timer");
    }
}
