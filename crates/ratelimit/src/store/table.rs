//! A table of bounded size whose entries expire.
//!
//! ```text
//! index: key's hash ─▶ place        slots: [ key, value, when it says nothing any more ] …
//!                                            ▲ the hand looks at a few with each new entry
//! ```
//!
//! Entries that have expired make room for new ones. When none of those at hand has, the one that expires first goes.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

use crate::limit::Millis;

/// How many slots are looked at for one to reuse.
const LOOK: usize = 8;

/// Values by key.
#[derive(Debug)]
pub(crate) struct Table<V> {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    slots: Vec<Slot<V>>,
    hand: usize,
    most: usize,
    evictions: u64,
}

/// One entry.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    hash: u64,
    key: Box<[u8]>,
    /// The value.
    pub(crate) value: V,
    /// When the value says nothing any more.
    pub(crate) expires: Millis,
}

impl<V> Table<V> {
    /// A table of at most so many entries.
    pub(crate) fn new(most: usize) -> Self {
        let hasher = DefaultHashBuilder::default();
        let most = most.clamp(1, u32::MAX as usize);
        Self { hasher, index: HashTable::new(), slots: Vec::new(), hand: 0, most, evictions: 0 }
    }

    /// The entries that are kept, the expired ones among them.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many entries that had not expired were forgotten.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// The entry at a place.
    pub(crate) fn at(&self, place: usize) -> &Slot<V> {
        &self.slots[place]
    }

    /// The entry at a place, to be changed.
    pub(crate) fn at_mut(&mut self, place: usize) -> &mut Slot<V> {
        &mut self.slots[place]
    }

    /// The hash of a key.
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The place of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let hash = self.hash(key);
        self.index.find(hash, |place| *self.slots[*place as usize].key == *key).map(|place| *place as usize)
    }

    /// The place of a key, with a new value where it has none. Entries at the places in `taken` stay.
    pub(crate) fn place(&mut self, key: &[u8], now: Millis, taken: &[usize], value: impl FnOnce() -> V) -> usize {
        if let Some(place) = self.find(key) {
            return place;
        }
        let hash = self.hasher.hash_one(key);
        let slot = Slot { hash, key: key.into(), value: value(), expires: now };
        let place = match self.free(now, taken) {
            Some(place) => {
                self.unlink(place);
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        let slots = &self.slots;
        let number = u32::try_from(place).expect("the number of slots is bounded");
        self.index.insert_unique(hash, number, |place| slots[*place as usize].hash);
        place
    }

    /// A slot to use again; none while there is room.
    fn free(&mut self, now: Millis, taken: &[usize]) -> Option<usize> {
        let mut first = None;
        for _ in 0..LOOK.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            if taken.contains(&self.hand) {
                continue;
            }
            let expires = self.slots[self.hand].expires;
            if expires < now {
                return Some(self.hand);
            }
            if first.is_none_or(|(soonest, _)| expires < soonest) {
                first = Some((expires, self.hand));
            }
        }
        if self.slots.len() < self.most {
            return None;
        }
        // All at hand may be taken; then the table grows by a few beyond its bound.
        let (_, place) = first?;
        self.evictions += 1;
        Some(place)
    }

    fn unlink(&mut self, place: usize) {
        let hash = self.slots[place].hash;
        if let Ok(entry) = self.index.find_entry(hash, |known| *known as usize == place) {
            entry.remove();
        }
    }
}
