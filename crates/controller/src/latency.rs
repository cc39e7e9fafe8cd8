//! How long changes of listeners and routes take until Envoys have acknowledged them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// So many changes of a fleet are waited for; of more, the later ones count with the last of them.
const MOST: usize = 64;

/// A snapshot that is not acknowledged yet, and since when the change is known.
#[derive(Clone, Copy, Debug)]
struct Sent {
    revision: u64,
    since: Instant,
}

/// What was sent and is not acknowledged yet, by fleet.
#[derive(Debug, Default)]
pub(crate) struct Latency(BTreeMap<Arc<str>, VecDeque<Sent>>);

impl Latency {
    /// A fleet has a new snapshot, for a change that is known since then.
    pub(crate) fn sent(&mut self, fleet: &Arc<str>, revision: u64, since: Instant) {
        let waiting = self.0.entry(Arc::clone(fleet)).or_default();
        let is_full = waiting.len() >= MOST;
        match waiting.back_mut().filter(|_| is_full) {
            Some(last) => last.revision = revision,
            _ => waiting.push_back(Sent { revision, since }),
        }
    }

    /// Which of a fleet's changes are acknowledged now, and how long each took. `acked` is the revision that all its Envoys
    /// have; without any, nobody is waited for.
    pub(crate) fn acknowledged(
        &mut self,
        acked: impl Fn(&str) -> Option<u64>,
        connected: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<Duration> {
        let mut took = Vec::new();
        self.0.retain(|fleet, waiting| {
            if !connected(fleet) {
                return false;
            }
            while let Some(first) =
                waiting.front().filter(|first| acked(fleet).is_some_and(|acked| acked >= first.revision))
            {
                took.push(now.saturating_duration_since(first.since));
                waiting.pop_front();
            }
            !waiting.is_empty()
        });
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_change_counts_once_when_all_have_it() {
        let (begin, fleet, mut latency) = (Instant::now(), Arc::from("default/eg"), Latency::default());
        latency.sent(&fleet, 1, begin);
        latency.sent(&fleet, 2, begin + MILLISECOND);
        let mut at =
            |acked: Option<u64>, millis: u32| latency.acknowledged(|_| acked, |_| true, begin + millis * MILLISECOND);
        assert!(at(None, 3).is_empty());
        assert_eq!(at(Some(1), 5), [5 * MILLISECOND]);
        assert_eq!(at(Some(4), 9), [8 * MILLISECOND]);
        assert!(at(Some(5), 10).is_empty());
    }

    #[test]
    fn without_envoys_nothing_is_waited_for() {
        let (begin, fleet, mut latency) = (Instant::now(), Arc::from("default/eg"), Latency::default());
        latency.sent(&fleet, 1, begin);
        assert!(latency.acknowledged(|_| None, |_| false, begin).is_empty());
        assert!(latency.acknowledged(|_| Some(1), |_| true, begin).is_empty());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let (begin, fleet, mut latency) = (Instant::now(), Arc::from("default/eg"), Latency::default());
        (0..1_000).for_each(|revision| latency.sent(&fleet, revision, begin));
        assert_eq!(latency.acknowledged(|_| Some(999), |_| true, begin).len(), MOST);
    }
}
