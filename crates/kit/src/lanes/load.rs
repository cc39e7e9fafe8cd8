//! How many lanes it takes: what they did lately, by the kernel's figures.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// The kernel's figures of the thread that opens this: nanoseconds that it ran, nanoseconds that it waited to run (proc(5)).
pub(super) const OF_THIS_THREAD: &str = "/proc/thread-self/schedstat";

/// A lane that runs this share of the time has enough to do: bursts need the rest.
const ENOUGH: f64 = 0.6;
/// So has one that would run or runs this share: others keep it waiting, and two wait less.
const CROWDED: f64 = 0.9;
/// With half of the lanes each would run no more than this share.
const LITTLE: f64 = 0.3;
/// For this many ticks, before half of them are left.
const CALM: u32 = 20;

/// What a lane did, as shares of the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    /// Computing.
    pub(super) running: f64,
    /// Ready to, but others did.
    pub(super) waiting: f64,
}

/// Tells what a thread did since it was asked last.
#[derive(Debug)]
pub(super) struct Meter {
    /// None where the kernel has none.
    figures: Option<File>,
    last: Mutex<Option<Reading>>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    ran: Duration,
    waited: Duration,
}

impl Meter {
    /// With the opened figures of the thread.
    pub(super) fn new(figures: Option<File>) -> Self {
        Self { figures, last: Mutex::new(None) }
    }

    /// Since the last time. None when the kernel does not say; nothing at the first.
    pub(super) fn load(&self) -> Option<Load> {
        let now = self.read()?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(now).unwrap_or(now);
        let passed = (now.at - last.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let share = |now: Duration, last| now.saturating_sub(last).as_secs_f64() / passed;
        Some(Load { running: share(now.ran, last.ran), waiting: share(now.waited, last.waited) })
    }

    fn read(&self) -> Option<Reading> {
        let mut text = [0; 128];
        let count = self.figures.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(&text[..count]).ok()?;
        let mut figures = text.split_ascii_whitespace().map(|figure| figure.parse().map(Duration::from_nanos));
        let (ran, waited) = (figures.next()?.ok()?, figures.next()?.ok()?);
        Some(Reading { at: Instant::now(), ran, waited })
    }
}

/// Decides how many lanes are used.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// For how many ticks half of them would have done.
    calm: u32,
}

impl Gathering {
    /// How many of `all` from now on, after those used so far had these loads. Twice as many as soon as one has enough to do,
    /// half as many only when that will last.
    pub(super) fn next(&mut self, loads: &[Load], all: usize) -> usize {
        let used = loads.len();
        if loads.iter().any(|load| load.running >= ENOUGH || load.running + load.waiting >= CROWDED) {
            self.calm = 0;
            return (2 * used).min(all);
        }
        let fewer = used.div_ceil(2);
        let total: f64 = loads.iter().map(|load| load.running).sum();
        #[expect(clippy::cast_precision_loss, reason = "processors")]
        let is_calm = fewer < used && total / fewer as f64 <= LITTLE;
        self.calm = if is_calm { self.calm + 1 } else { 0 };
        if self.calm < CALM {
            return used;
        }
        self.calm = 0;
        fewer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(share: f64) -> Load {
        Load { running: share, waiting: 0.0 }
    }

    #[test]
    fn more_are_used_at_once_where_one_has_enough_to_do() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.next(&[running(0.5)], 8), 1);
        assert_eq!(gathering.next(&[running(0.7)], 8), 2);
        assert_eq!(gathering.next(&[running(0.1), running(0.7)], 8), 4);
        assert_eq!(gathering.next(&[running(0.7); 4], 7), 7);
        assert_eq!(gathering.next(&[running(0.9); 7], 7), 7);
        assert_eq!(gathering.next(&[Load { running: 0.4, waiting: 0.55 }], 2), 2, "others keep it waiting");
    }

    #[test]
    fn fewer_are_used_where_that_lasts() {
        let (mut gathering, little) = (Gathering::default(), [running(0.1); 4]);
        for _ in 1..CALM {
            assert_eq!(gathering.next(&little, 4), 4);
        }
        assert_eq!(gathering.next(&[running(0.2); 4], 4), 4, "half of them would have too much");
        for _ in 1..CALM {
            assert_eq!(gathering.next(&little, 4), 4);
        }
        assert_eq!(gathering.next(&little, 4), 2);
        assert_eq!(gathering.next(&[running(0.0); 2], 4), 2, "not at once again");
        for _ in 0..2 * CALM {
            assert_eq!(gathering.next(&[running(0.0)], 4), 1);
        }
    }
}
