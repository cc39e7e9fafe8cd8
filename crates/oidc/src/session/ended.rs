//! Sessions in cookies that have ended before their time: nobody can take a cookie back, so it is remembered that it does not
//! count any more. Of this process only; sessions that have to end everywhere at once need a store.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::{Key, Session};
use crate::clock::Seconds;
use crate::fading::Fading;

/// Ends by the front channel that are remembered: anybody can send those, so the oldest goes when there are more.
const MOST: usize = 100_000;

/// Sessions that have ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Sessions by their id.
    ids: Fading<String, ()>,
    /// Names under which providers end sessions, and when: those made until then have ended.
    names: Fading<Key, Seconds>,
    /// The same by the front channel, in the order in which they came.
    unproven: HashMap<Key, Seconds>,
    order: VecDeque<Key>,
}

impl Inner {
    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.names.is_empty() && self.unproven.is_empty()
    }
}

impl Ended {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends one session.
    pub(super) fn end(&self, id: &str, lasts: Seconds, now: Seconds) {
        self.inner().ids.insert(id.to_owned(), (), now + lasts, now);
    }

    /// Ends all sessions of a name that there are now, which its provider has signed.
    pub(super) fn end_all(&self, name: Key, lasts: Seconds, now: Seconds) {
        self.inner().names.insert(name, now, now + lasts, now);
    }

    /// The same when nobody has signed it.
    pub(super) fn end_unproven(&self, name: Key, now: Seconds) {
        let inner = &mut *self.inner();
        while inner.order.len() >= MOST {
            if let Some(oldest) = inner.order.pop_front() {
                inner.unproven.remove(&oldest);
            }
        }
        if inner.unproven.insert(name, now).is_none() {
            inner.order.push_back(name);
        }
    }

    /// Whether a session has ended.
    pub(super) fn has(&self, session: &Session, now: Seconds) -> bool {
        if self.inner().is_empty() {
            return false;
        }
        let names: Vec<Key> = session.ended_by().collect();
        let inner = self.inner();
        let until = |name: &Key| inner.names.get(name, now).max(inner.unproven.get(name)).copied();
        let by_name = names.iter().filter_map(until).any(|at| session.created <= at);
        by_name || inner.ids.get(session.id.as_str(), now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_the_front_channel_takes_no_more_room_and_revives_nobody() {
        let ended = Ended::default();
        ended.end_all(Key::of("signed"), 1_000, 10);
        for number in 0..2 * MOST {
            ended.end_unproven(Key::of(&number.to_string()), 10);
        }
        let inner = ended.inner();
        assert_eq!((inner.unproven.len(), inner.order.len()), (MOST, MOST));
        assert_eq!(inner.names.get(&Key::of("signed"), 11), Some(&10));
    }
}
