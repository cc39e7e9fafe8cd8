//! Who goes over limits most: a Space-Saving sketch (Metwally, Agrawal and El Abbadi, 2005), whose memory is fixed.
//!
//! A newcomer takes the place of the smallest count and goes on from it. So whoever had more than one part in `PLACES` of
//! all hits is in the list, and a count is never too low, and too high by no more than what stands beside it.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use hashbrown::DefaultHashBuilder;
use serde::Serialize;

use crate::limit::Millis;

/// How many keys are kept.
const PLACES: usize = 256;
/// How long until counts are halved: the list shows what happens now.
const HALF_LIFE: Millis = 60_000;
/// How much of a key is kept, in bytes.
const LONGEST: usize = 1024;

/// The keys that went over their limits most, of late.
#[derive(Debug, Default)]
pub struct Top {
    hasher: DefaultHashBuilder,
    sketch: Mutex<Sketch>,
}

/// Entries are few enough to look through all of them.
#[derive(Debug, Default)]
struct Sketch {
    entries: Vec<Entry>,
    halved: Millis,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    key: Box<[u8]>,
    hits: u64,
    error: u64,
}

/// One key of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offender {
    /// What is counted, as in the store.
    pub key: String,
    /// Hits over the limit, halved each minute.
    pub hits: u64,
    /// How many of them may be another's.
    pub error: u64,
}

impl Top {
    /// Counts hits over a limit.
    pub fn count(&self, key: &[u8], hits: u64, now: Millis) {
        let key = &key[..key.len().min(LONGEST)];
        let hash = self.hasher.hash_one(key);
        let mut sketch = self.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        sketch.fade(now);
        sketch.add(key, hash, hits);
    }

    /// The list, the largest first.
    pub fn list(&self, now: Millis) -> Vec<Offender> {
        let mut sketch = self.sketch.lock().unwrap_or_else(PoisonError::into_inner);
        sketch.fade(now);
        let offender = |entry: &Entry| Offender {
            key: String::from_utf8_lossy(&entry.key).into_owned(),
            hits: entry.hits,
            error: entry.error,
        };
        let mut list: Vec<Offender> = sketch.entries.iter().map(offender).collect();
        drop(sketch);
        list.sort_by(|one, other| other.hits.cmp(&one.hits).then_with(|| one.key.cmp(&other.key)));
        list
    }
}

impl Sketch {
    fn add(&mut self, key: &[u8], hash: u64, hits: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.hash == hash && *entry.key == *key) {
            entry.hits = entry.hits.saturating_add(hits);
            return;
        }
        let newcomer = Entry { hash, key: key.into(), hits, error: 0 };
        if self.entries.len() < PLACES {
            self.entries.push(newcomer);
        } else if let Some(smallest) = self.entries.iter_mut().min_by_key(|entry| entry.hits) {
            let error = smallest.hits;
            *smallest = Entry { hits: error.saturating_add(hits), error, ..newcomer };
        }
    }

    /// Halves counts once for each half-life that has passed; what is left of none is forgotten.
    fn fade(&mut self, now: Millis) {
        let times = now.saturating_sub(self.halved) / HALF_LIFE;
        if times == 0 {
            return;
        }
        self.halved += times * HALF_LIFE;
        for entry in &mut self.entries {
            entry.hits >>= times.min(63);
            entry.error >>= times.min(63);
        }
        self.entries.retain(|entry| entry.hits > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn counts_are_bounded_and_the_large_are_never_missed(
            // Few keys come often, and many come once.
            hits in prop::collection::vec((prop_oneof![0_u32..8, 0_u32..5000], 1_u64..20), 1..4000),
        ) {
            let (top, mut exact) = (Top::default(), HashMap::<String, u64>::new());
            for (key, hits) in &hits {
                top.count(format!("k{key}").as_bytes(), *hits, NOW);
                *exact.entry(format!("k{key}")).or_default() += hits;
            }
            let list = top.list(NOW);
            prop_assert!(list.len() <= PLACES);
            for offender in &list {
                let exact = exact[&offender.key];
                prop_assert!(offender.hits - offender.error <= exact && exact <= offender.hits);
            }
            let all: u64 = exact.values().sum();
            for (key, _) in exact.iter().filter(|(_, hits)| **hits > all / PLACES as u64) {
                prop_assert!(list.iter().any(|offender| offender.key == *key), "{} is missing", key);
            }
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let top = Top::default();
        let seen = |now| top.list(now).into_iter().map(|offender| (offender.key, offender.hits)).collect::<Vec<_>>();
        top.count(b"ann", 10, NOW);
        top.count(b"bob", 1, NOW);
        assert_eq!(seen(NOW), [("ann".to_owned(), 10), ("bob".to_owned(), 1)]);
        assert_eq!(seen(NOW + HALF_LIFE), [("ann".to_owned(), 5)]);
        top.count(b"bob", 3, NOW + HALF_LIFE);
        assert_eq!(seen(NOW + 2 * HALF_LIFE), [("ann".to_owned(), 2), ("bob".to_owned(), 1)]);
        assert_eq!(seen(NOW + 100 * HALF_LIFE), []);
    }

    #[test]
    fn long_keys_are_cut() {
        let top = Top::default();
        for end in ["a", "b"] {
            top.count(&[&[b'x'; LONGEST], end.as_bytes()].concat(), 1, NOW);
        }
        assert_eq!(top.list(NOW).iter().map(|one| (one.key.len(), one.hits)).collect::<Vec<_>>(), [(LONGEST, 2)]);
    }
}
