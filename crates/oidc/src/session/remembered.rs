//! What was made of sessions lately, so that it is not made anew at each check.

use hashbrown::HashMap;

use super::Key;

/// For how many sessions.
const MOST: usize = 10_000;

/// In two halves: when the younger is full it becomes the older, and what nobody asked for since is gone.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    young: HashMap<Key, T>,
    old: HashMap<Key, T>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { young: HashMap::default(), old: HashMap::default() }
    }
}

impl<T> Remembered<T> {
    pub(super) fn get(&mut self, key: &Key) -> Option<&mut T> {
        if let Some(made) = self.old.remove(key) {
            self.insert(*key, made);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: Key, made: T) {
        if self.young.len() >= MOST / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, made);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_remembered_however_many_come() {
        let (mut remembered, used) = (Remembered::default(), Key::of("used"));
        remembered.insert(used, ());
        for number in 0..3 * MOST {
            remembered.insert(Key::of(&number.to_string()), ());
            assert!(number % 1000 != 0 || remembered.get(&used).is_some(), "{number}");
        }
        assert!(remembered.young.len() + remembered.old.len() <= MOST);
        assert!(remembered.get(&Key::of("0")).is_none());
    }
}
