//! How much the live page is told: a flood must not freeze the browser of those who look at it, nor hide what else happens.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::reason::Reason;

/// Lines of one reason in one second: what comes beyond is in the rates.
const MOST: u32 = 20;

/// What was told in this second, by reason; the first place is that of events without one.
#[derive(Debug)]
pub(super) struct Turns([Turn; Reason::COUNT + 1]);

#[derive(Debug, Default)]
struct Turn {
    second: AtomicU64,
    told: AtomicU32,
}

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Turn::default()))
    }
}

impl Turns {
    /// Whether one more line may be told, `now` in milliseconds. Lanes that begin a second at once may tell a few more.
    pub(super) fn take(&self, reason: Option<Reason>, now: u64) -> bool {
        let turn = &self.0[reason.map_or(0, |reason| usize::from(reason.number()))];
        if turn.second.swap(now / 1000, Ordering::Relaxed) != now / 1000 {
            turn.told.store(0, Ordering::Relaxed);
        }
        turn.told.fetch_add(1, Ordering::Relaxed) < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_reason_hides_no_other_and_ends_with_its_second() {
        let turns = Turns::default();
        let flood = Reason::of(b"request_rate_limited", 429, 0);
        let told = |now| (0..1000).filter(|_| turns.take(flood, now)).count();
        assert_eq!((told(5_000), told(5_999)), (20, 0));
        assert!(turns.take(Reason::of(b"no_healthy_upstream", 503, 0), 5_999) && turns.take(None, 5_999));
        assert_eq!(told(6_000), 20);
    }
}
