//! Sessions in this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use prometheus::IntGauge;
use smallvec::SmallVec;

use super::{Error, Key, Session};
use crate::clock::Seconds;

/// Parts with a lock each, so that many requests do not wait for one.
const SHARDS: usize = 16;

/// Sessions of this process, as many as are allowed.
#[derive(Debug)]
pub struct Memory {
    shards: [Mutex<HashMap<Key, Entry>>; SHARDS],
    /// Which sessions a provider ends by one name; mostly one.
    index: Mutex<HashMap<Key, SmallVec<[Key; 1]>>>,
    /// What may be used once, by name, and until when it is remembered.
    once: Mutex<HashMap<String, Once>>,
    most: usize,
    count: IntGauge,
}

/// What is kept, if anything, and until when.
type Once = (Option<Vec<u8>>, Seconds);

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    /// When nobody used it for too long.
    idle_end: Seconds,
    /// When it ends in any case.
    end: Seconds,
}

impl Entry {
    fn is_over(&self, now: Seconds) -> bool {
        now >= self.idle_end || now >= self.end
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// A store of at most so many sessions, whose number `count` shows.
    pub fn new(most: usize, count: IntGauge) -> Self {
        Self { shards: Default::default(), index: Mutex::default(), once: Mutex::default(), most, count }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, HashMap<Key, Entry>> {
        locked(&self.shards[usize::from(key.0[0]) % SHARDS])
    }

    /// The session, which is used now and may rest for so long from now on.
    pub fn load(&self, key: &Key, idle: Seconds, now: Seconds) -> Option<Arc<Session>> {
        let mut shard = self.shard(key);
        let entry = shard.get_mut(key)?;
        if entry.is_over(now) {
            drop(shard);
            self.remove(key);
            return None;
        }
        entry.idle_end = now + idle;
        Some(Arc::clone(&entry.session))
    }

    /// Keeps a new session.
    pub fn create(&self, key: Key, session: Session, idle: Seconds, end: Seconds, now: Seconds) -> Result<(), Error> {
        if self.len() >= self.most {
            self.sweep(now);
            if self.len() >= self.most {
                return Err(Error::Full);
            }
        }
        // The index comes first: no session is there that cannot be ended.
        for name in session.ended_by() {
            locked(&self.index).entry(name).or_default().push(key);
        }
        self.shard(&key).insert(key, Entry { session: Arc::new(session), idle_end: now + idle, end });
        self.count.inc();
        Ok(())
    }

    /// Puts renewed tokens in place, unless the session has ended meanwhile.
    pub fn replace(&self, key: &Key, session: Session) -> bool {
        let mut shard = self.shard(key);
        let Some(entry) = shard.get_mut(key) else { return false };
        entry.session = Arc::new(session);
        true
    }

    /// Ends a session.
    pub fn remove(&self, key: &Key) -> bool {
        let Some(entry) = self.shard(key).remove(key) else { return false };
        self.count.dec();
        let mut index = locked(&self.index);
        for name in entry.session.ended_by() {
            if let Some(keys) = index.get_mut(&name) {
                keys.retain(|one| one != key);
                if keys.is_empty() {
                    index.remove(&name);
                }
            }
        }
        true
    }

    /// Ends all sessions that are found by a name, and says how many there were.
    pub fn end(&self, name: &Key) -> usize {
        let keys = locked(&self.index).get(name).cloned().unwrap_or_default();
        keys.iter().filter(|key| self.remove(key)).count()
    }

    /// Notes a name; whether it is new.
    pub fn first(&self, name: &str, until: Seconds, now: Seconds) -> bool {
        self.put(name, None, until, now)
    }

    /// Keeps something under a new name.
    pub fn put(&self, name: &str, what: Option<Vec<u8>>, until: Seconds, now: Seconds) -> bool {
        let mut once = locked(&self.once);
        if once.get(name).is_some_and(|(_, end)| *end > now) {
            return false;
        }
        if once.len() >= self.most.max(1000) {
            once.retain(|_, (_, end)| *end > now);
        }
        once.insert(name.to_owned(), (what, until));
        true
    }

    /// Takes away what is kept under a name.
    pub fn take(&self, name: &str, now: Seconds) -> Option<Vec<u8>> {
        locked(&self.once).remove(name).filter(|(_, end)| *end > now)?.0
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Seconds) {
        for shard in &self.shards {
            let over: Vec<Key> =
                locked(shard).iter().filter(|(_, entry)| entry.is_over(now)).map(|(key, _)| *key).collect();
            for key in over {
                self.remove(&key);
            }
        }
        locked(&self.once).retain(|_, (_, end)| *end > now);
    }

    /// How many sessions there are, those that are over and not yet swept among them.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
