//! Things that are remembered for a while.

use std::hash::Hash;

use hashbrown::HashMap;

use crate::clock::Seconds;

/// As many are kept before it is looked for the first time which are over.
const LEAST: usize = 1000;

/// Things by name, each until its end. What is over is thrown out whenever the number of all has doubled, so that neither memory
/// nor the time of one insertion grows with what is over.
#[derive(Debug)]
pub(crate) struct Fading<K, V> {
    all: HashMap<K, (V, Seconds)>,
    /// At this number it is looked for what is over.
    full: usize,
}

impl<K, V> Default for Fading<K, V> {
    fn default() -> Self {
        Self { all: HashMap::default(), full: LEAST }
    }
}

impl<K: Eq + Hash, V> Fading<K, V> {
    /// Remembers something until its end.
    pub(crate) fn insert(&mut self, name: K, what: V, end: Seconds, now: Seconds) {
        if self.all.len() >= self.full {
            self.all.retain(|_, (_, end)| *end > now);
            self.full = (self.all.len() * 2).max(LEAST);
        }
        self.all.insert(name, (what, end));
    }

    /// What is remembered under a name and not over.
    pub(crate) fn get<Q: Hash + hashbrown::Equivalent<K> + ?Sized>(&self, name: &Q, now: Seconds) -> Option<&V> {
        self.all.get(name).filter(|(_, end)| *end > now).map(|(what, _)| what)
    }

    /// Whether nothing was remembered that is still kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_gone_and_makes_room() {
        let mut fading = Fading::default();
        for number in 0..100_000_u64 {
            fading.insert(number, number, number + 10, number);
        }
        assert_eq!((fading.get(&99_999, 99_999), fading.get(&99_989, 99_999)), (Some(&99_999), None));
        assert!(fading.all.len() <= 2 * LEAST, "{}", fading.all.len());
    }
}
