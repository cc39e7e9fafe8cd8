//! What may be used once: states of logins, logout tokens, codes that hand a session over.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::Key;
use crate::clock::Seconds;

/// What is remembered at most. Anybody can begin logins, so that the oldest goes when there are more: neither memory nor time
/// grows, and nobody is kept from logging in. What is forgotten so is still good once only at the provider (codes, PKCE).
const MOST: usize = 100_000;

/// Names that were used, and what is kept under them.
#[derive(Debug)]
pub(super) struct Once {
    inner: Mutex<Inner>,
    most: usize,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Key, Kept>,
    /// In the order in which they came.
    order: VecDeque<Key>,
}

#[derive(Debug)]
struct Kept {
    what: Option<Vec<u8>>,
    end: Seconds,
}

impl Default for Once {
    fn default() -> Self {
        Self { inner: Mutex::default(), most: MOST }
    }
}

impl Once {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps something under a name until its end; whether the name is new.
    pub(super) fn put(&self, name: &str, what: Option<Vec<u8>>, end: Seconds, now: Seconds) -> bool {
        let name = Key::of(name);
        let mut inner = self.inner();
        if inner.kept.get(&name).is_some_and(|kept| kept.end > now) {
            return false;
        }
        while inner.order.len() >= self.most {
            if let Some(oldest) = inner.order.pop_front() {
                inner.kept.remove(&oldest);
            }
        }
        if inner.kept.insert(name, Kept { what, end }).is_none() {
            inner.order.push_back(name);
        }
        true
    }

    /// Whether a name was used.
    pub(super) fn has(&self, name: &str, now: Seconds) -> bool {
        self.inner().kept.get(&Key::of(name)).is_some_and(|kept| kept.end > now)
    }

    /// Takes away what is kept under a name; the name stays used.
    pub(super) fn take(&self, name: &str, now: Seconds) -> Option<Vec<u8>> {
        self.inner().kept.get_mut(&Key::of(name)).filter(|kept| kept.end > now)?.what.take()
    }

    /// Forgets what is over.
    pub(super) fn sweep(&self, now: Seconds) {
        let Inner { kept, order } = &mut *self.inner();
        kept.retain(|_, kept| kept.end > now);
        order.retain(|name| kept.contains_key(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_once_until_its_end() {
        let once = Once::default();
        assert!(once.put("a", Some(b"x".to_vec()), 20, 10) && !once.put("a", None, 20, 19));
        assert!(once.has("a", 19) && !once.has("a", 20) && !once.has("b", 10));
        assert_eq!((once.take("a", 11), once.take("a", 11)), (Some(b"x".to_vec()), None));
        assert!(once.put("a", None, 30, 20));
    }

    #[test]
    fn a_flood_of_names_takes_no_more_room_and_stops_nobody() {
        let once = Once { most: 100, ..Once::default() };
        for number in 0..10_000 {
            assert!(once.put(&number.to_string(), None, 1_000, 10));
        }
        let numbers = |inner: &Inner| (inner.kept.len(), inner.order.len());
        assert_eq!(numbers(&once.inner()), (100, 100));
        assert!(!once.put("9999", None, 1_000, 10), "what came last is known");
        once.sweep(1_000);
        assert_eq!(numbers(&once.inner()), (0, 0));
    }
}
