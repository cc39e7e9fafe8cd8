//! Who comes most: a Space-Saving sketch (Metwally, Agrawal and El Abbadi, 2005), whose memory is fixed.
//!
//! A newcomer takes the place of the smallest count and goes on from it. So whoever had more than one part in `PLACES` of
//! all hits is in the list, and a count is never too low, and too high by no more than what stands beside it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Milliseconds of the Unix epoch.
type Millis = u64;

/// How many keys are kept.
pub const PLACES: usize = 256;
/// How long until counts are halved: the list shows what happens now.
const HALF_LIFE: Millis = 60_000;
/// How much of a key is kept, in bytes.
const LONGEST: usize = 1024;

/// The keys that came most, of late. Hashes and counts stand apart from the rest, for they are looked through at each hit.
#[derive(Debug, Default)]
pub struct Sketch {
    hasher: RandomState,
    hashes: Vec<u64>,
    hits: Vec<u64>,
    rest: Vec<(Box<[u8]>, u64)>,
    halved: Millis,
}

/// A sketch that many count in.
#[derive(Debug, Default)]
pub struct Top(Mutex<Sketch>);

/// One key of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// What is counted.
    pub key: String,
    /// How often it came, halved each minute.
    pub hits: u64,
    /// How many of them may be another's.
    pub error: u64,
}

impl Top {
    /// Counts hits.
    pub fn count(&self, key: &[u8], hits: u64, now: Millis) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count(key, hits, now);
    }

    /// The list, the largest first.
    pub fn list(&self, now: Millis) -> Vec<Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).list(now)
    }
}

impl Sketch {
    /// Counts hits.
    pub fn count(&mut self, key: &[u8], hits: u64, now: Millis) {
        let key = &key[..key.len().min(LONGEST)];
        let hash = self.hasher.hash_one(key);
        self.fade(now);
        if let Some(place) = self.hashes.iter().position(|other| *other == hash).filter(|at| *self.rest[*at].0 == *key)
        {
            self.hits[place] = self.hits[place].saturating_add(hits);
        } else if self.hashes.len() < PLACES {
            self.hashes.push(hash);
            self.hits.push(hits);
            self.rest.push((key.into(), 0));
        } else if let Some((place, smallest)) = self.hits.iter().copied().enumerate().min_by_key(|(_, hits)| *hits) {
            self.hashes[place] = hash;
            self.hits[place] = smallest.saturating_add(hits);
            self.rest[place] = (key.into(), smallest);
        }
    }

    /// The list, the largest first.
    pub fn list(&mut self, now: Millis) -> Vec<Count> {
        self.fade(now);
        let count = |(hits, (key, error)): (&u64, &(Box<[u8]>, u64))| Count {
            key: String::from_utf8_lossy(key).into_owned(),
            hits: *hits,
            error: *error,
        };
        let mut list: Vec<Count> = self.hits.iter().zip(&self.rest).map(count).collect();
        sort(&mut list);
        list
    }

    /// Halves counts once for each half-life that has passed; what is left of none is forgotten.
    fn fade(&mut self, now: Millis) {
        let times = now.saturating_sub(self.halved) / HALF_LIFE;
        if times == 0 {
            return;
        }
        self.halved += times * HALF_LIFE;
        let (hashes, hits, rest) =
            (std::mem::take(&mut self.hashes), std::mem::take(&mut self.hits), std::mem::take(&mut self.rest));
        for ((hash, hits), (key, error)) in hashes.into_iter().zip(hits).zip(rest) {
            let hits = hits >> times.min(63);
            if hits > 0 {
                self.hashes.push(hash);
                self.hits.push(hits);
                self.rest.push((key, error >> times.min(63)));
            }
        }
    }
}

/// One list of several that were counted apart.
pub fn merged(lists: impl IntoIterator<Item = Vec<Count>>) -> Vec<Count> {
    let mut all: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for Count { key, hits, error } in lists.into_iter().flatten() {
        let sum = all.entry(key).or_default();
        *sum = (sum.0.saturating_add(hits), sum.1.saturating_add(error));
    }
    let mut list: Vec<Count> = all.into_iter().map(|(key, (hits, error))| Count { key, hits, error }).collect();
    sort(&mut list);
    list
}

fn sort(list: &mut [Count]) {
    list.sort_by(|one, other| other.hits.cmp(&one.hits).then_with(|| one.key.cmp(&other.key)));
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
            for count in &list {
                let exact = exact[&count.key];
                prop_assert!(count.hits - count.error <= exact && exact <= count.hits);
            }
            let all: u64 = exact.values().sum();
            for (key, _) in exact.iter().filter(|(_, hits)| **hits > all / PLACES as u64) {
                prop_assert!(list.iter().any(|count| count.key == *key), "{} is missing", key);
            }
        }
    }

    fn seen(list: Vec<Count>) -> Vec<(String, u64)> {
        list.into_iter().map(|count| (count.key, count.hits)).collect()
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let top = Top::default();
        let seen = |now| seen(top.list(now));
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

    #[test]
    fn lists_that_were_counted_apart_become_one() {
        let (one, other) = (Top::default(), Top::default());
        one.count(b"ann", 2, NOW);
        other.count(b"ann", 3, NOW);
        other.count(b"bob", 4, NOW);
        let all = merged([one.list(NOW), other.list(NOW)]);
        assert_eq!(seen(all), [("ann".to_owned(), 5), ("bob".to_owned(), 4)]);
    }
}
