//! How much of its time a client gets for taking in what it is sent.
//!
//! Envoy builds a changed route table anew, all of it, and answers when that is done. Each answer costs [`COST`] times what
//! it took, and time pays the debt: changes without an end get a tenth of the client's time, and what changes while one of
//! them waits goes together. Up to [`STRETCH`] of debt nothing waits, so single changes and short runs of them go out at
//! once; of answers that take 30 ms only more than three a second ever wait. A change waits [`MOST`] at the longest.

use std::time::{Duration, Instant};

/// What a moment of the client's costs.
const COST: u32 = 10;
/// The debt up to which nothing waits.
const STRETCH: Duration = Duration::from_millis(600);
/// The longest time from one change to the next that waits for its turn.
const MOST: Duration = Duration::from_millis(400);

/// The pace of one type on one stream.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When all debt is paid.
    paid: Option<Instant>,
}

impl Pace {
    /// The client has answered what it was sent then.
    pub(super) fn answered(&mut self, sent: Instant, now: Instant) {
        let cost = COST * now.saturating_duration_since(sent);
        let paid = self.paid.map_or(sent, |paid| paid.max(sent)) + cost;
        self.paid = Some(paid.min(sent + STRETCH + MOST));
    }

    /// When the next change may go, if not now.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.paid.filter(|paid| *paid > now + STRETCH).map(|paid| paid - STRETCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A minute with a change each so often, of which each takes so long: how many were sent, and the longest wait.
    fn minute(every: Duration, took: Duration) -> (u32, Duration) {
        let begin = Instant::now();
        let (mut pace, mut now, mut sent, mut longest) = (Pace::default(), begin, 0, Duration::ZERO);
        while now < begin + millis(60_000) {
            let at = pace.waits_until(now).unwrap_or(now);
            longest = longest.max(at - now);
            pace.answered(at, at + took);
            now = at + took.max(every);
            sent += 1;
        }
        (sent, longest)
    }

    #[test]
    fn single_changes_wait_for_nothing() {
        for (every, took) in [(1_000, 30), (300, 30), (1_000, 150)] {
            assert_eq!(minute(millis(every), millis(took)).1, Duration::ZERO, "{took} ms each {every} ms");
        }
    }

    #[test]
    fn changes_without_an_end_get_a_tenth_of_the_time() {
        let (sent, longest) = minute(millis(50), millis(30));
        assert!((200..=205).contains(&sent), "{sent}");
        assert!(longest <= millis(270), "{longest:?}");
    }

    #[test]
    fn no_wait_is_longer_than_the_most() {
        for took in [100, 200, 400, 60_000] {
            let (_, longest) = minute(Duration::ZERO, millis(took));
            assert!(millis(took) + longest <= millis(took).max(MOST), "{took} ms: {longest:?}");
        }
    }

    #[test]
    fn a_short_run_goes_out_at_once() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        let ends = (1..=4).map(|number| number * millis(30));
        let waits: Vec<bool> = ends
            .map(|end| {
                pace.answered(begin + end - millis(30), begin + end);
                pace.waits_until(begin + end).is_some()
            })
            .collect();
        assert_eq!(waits, [false, false, true, true]);
    }
}
