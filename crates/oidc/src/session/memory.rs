//! Sessions in this process. Each is kept as its text, as in Redis: parsed it takes several times as much, most of it in pieces
//! that are smaller than what an allocation costs. Those that were used lately are remembered as they were parsed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use prometheus::IntGauge;
use smallvec::SmallVec;

use super::remembered::Remembered;
use super::{Error, Key, Session};
use crate::clock::Seconds;

/// Parts with a lock each, so that many requests do not wait for one.
const SHARDS: usize = 16;
/// The most sessions of one person: with one more the oldest ends, so that nobody fills all the room there is.
const MOST_OF_ONE: usize = 100;

/// Sessions of this process, as many as are allowed.
#[derive(Debug)]
pub struct Memory {
    shards: [Mutex<HashMap<Key, Entry>>; SHARDS],
    /// Which sessions a provider ends by one name; mostly one.
    index: Mutex<HashMap<Key, SmallVec<[Key; 1]>>>,
    parsed: Mutex<Remembered<Parsed>>,
    most: usize,
    count: IntGauge,
}

#[derive(Debug)]
struct Entry {
    /// As JSON.
    session: Arc<[u8]>,
    /// When nobody used it for too long.
    idle_end: Seconds,
    /// When it ends in any case.
    end: Seconds,
}

/// A session as it was parsed from its text.
#[derive(Debug)]
struct Parsed {
    text: Arc<[u8]>,
    session: Arc<Session>,
}

impl Entry {
    fn is_over(&self, now: Seconds) -> bool {
        now >= self.idle_end || now >= self.end
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(session: &Session) -> Arc<[u8]> {
    serde_json::to_vec(session).expect("claims have texts for keys").into()
}

impl Memory {
    /// A store of at most so many sessions, whose number `count` shows.
    pub fn new(most: usize, count: IntGauge) -> Self {
        Self { shards: Default::default(), index: Mutex::default(), parsed: Mutex::default(), most, count }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, HashMap<Key, Entry>> {
        locked(&self.shards[usize::from(key.0[0]) % SHARDS])
    }

    /// The session, which is used now and may rest for so long from now on.
    pub fn load(&self, key: &Key, idle: Seconds, now: Seconds) -> Option<Arc<Session>> {
        let text = {
            let mut shard = self.shard(key);
            let entry = shard.get_mut(key)?;
            let over = entry.is_over(now);
            entry.idle_end = now + idle;
            (!over).then(|| Arc::clone(&entry.session))
        };
        match text {
            Some(text) => self.parse(key, text),
            None => {
                self.remove(key);
                None
            }
        }
    }

    fn parse(&self, key: &Key, text: Arc<[u8]>) -> Option<Arc<Session>> {
        if let Some(parsed) = locked(&self.parsed).get(key).filter(|parsed| Arc::ptr_eq(&parsed.text, &text)) {
            return Some(Arc::clone(&parsed.session));
        }
        let session: Arc<Session> = Arc::new(serde_json::from_slice(&text).ok()?);
        locked(&self.parsed).insert(*key, Parsed { text, session: Arc::clone(&session) });
        Some(session)
    }

    /// Keeps a new session.
    pub fn create(&self, key: Key, session: &Session, idle: Seconds, end: Seconds, now: Seconds) -> Result<(), Error> {
        if self.len() >= self.most {
            self.sweep(now);
            if self.len() >= self.most {
                return Err(Error::Full);
            }
        }
        // The index comes first: no session is there that cannot be ended.
        let mut surplus = None;
        for name in session.ended_by() {
            let mut index = locked(&self.index);
            let keys = index.entry(name).or_default();
            keys.push(key);
            surplus = surplus.or((keys.len() > MOST_OF_ONE).then(|| keys[0]));
        }
        self.shard(&key).insert(key, Entry { session: text(session), idle_end: now + idle, end });
        self.count.inc();
        if let Some(oldest) = surplus {
            self.remove(&oldest);
        }
        Ok(())
    }

    /// Puts renewed tokens in place, unless the session has ended meanwhile.
    pub fn replace(&self, key: &Key, session: &Session) -> bool {
        let text = text(session);
        let mut shard = self.shard(key);
        let Some(entry) = shard.get_mut(key) else { return false };
        entry.session = text;
        true
    }

    /// Ends a session.
    pub fn remove(&self, key: &Key) -> bool {
        let Some(entry) = self.shard(key).remove(key) else { return false };
        self.count.dec();
        locked(&self.parsed).remove(key);
        let Ok(session) = serde_json::from_slice::<Session>(&entry.session) else { return true };
        let mut index = locked(&self.index);
        for name in session.ended_by() {
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

    /// Forgets what is over.
    pub fn sweep(&self, now: Seconds) {
        for shard in &self.shards {
            let over: Vec<Key> =
                locked(shard).iter().filter(|(_, entry)| entry.is_over(now)).map(|(key, _)| *key).collect();
            for key in over {
                self.remove(&key);
            }
        }
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
