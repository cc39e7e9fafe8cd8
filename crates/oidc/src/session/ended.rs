//! Sessions in cookies that have ended before their time: nobody can take a cookie back, so it is remembered that it does not
//! count any more. Of this process only; sessions that have to end everywhere at once need a store.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use super::{Key, Session};
use crate::clock::Seconds;

/// What is remembered at most.
const MOST: usize = 100_000;

/// Sessions that have ended.
#[derive(Debug, Default)]
pub struct Ended {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Sessions by their id, and how long that has to be remembered.
    ids: HashMap<String, Seconds>,
    /// Names under which providers end sessions: those made until then have ended.
    names: HashMap<Key, Seconds>,
}

impl Ended {
    /// Ends one session.
    pub fn end(&self, id: &str, lasts: Seconds, now: Seconds) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.ids.len() >= MOST {
            inner.ids.retain(|_, until| *until > now);
        }
        inner.ids.insert(id.to_owned(), now + lasts);
    }

    /// Ends all sessions of a name that there are now.
    pub fn end_all(&self, name: Key, lasts: Seconds, now: Seconds) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.names.len() >= MOST {
            inner.names.retain(|_, at| *at + lasts > now);
        }
        inner.names.insert(name, now);
    }

    /// Whether a session has ended.
    pub fn has(&self, session: &Session) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.ids.is_empty() && inner.names.is_empty() {
            return false;
        }
        let by_name = |name: Key| inner.names.get(&name).is_some_and(|at| session.created <= *at);
        inner.ids.contains_key(&session.id) || session.ended_by().any(by_name)
    }
}
