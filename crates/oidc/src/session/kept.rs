//! All sessions, wherever they are kept.

use std::sync::Arc;

use kit::reload::Reloading;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::ended::Ended;
use super::once::Once;
use super::{Error, Key, Memory, Redis, Session, Whose};
use crate::clock::Seconds;
use crate::cookie::Jar;
use crate::random;
use crate::seal::{Keys, Purpose};

/// Where sessions are kept.
#[derive(Debug)]
pub enum Store {
    /// In this process.
    Memory(Box<Memory>),
    /// In Redis; in cookies while that does not answer, when the flag says so.
    Redis(Box<Redis>, bool),
    /// In cookies.
    Cookie,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    pub(crate) store: Store,
    pub(crate) jar: Jar,
    keys: Reloading<Keys>,
    ended: Ended,
    /// Of a service whose sessions are not in Redis.
    once: Once,
    /// How long a session may rest, and how long it lasts.
    times: (Seconds, Seconds),
}

/// A session and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session.
    pub session: Arc<Session>,
    /// Where it is.
    pub place: Place,
}

impl Found {
    /// Whether its tokens have ended and cannot be renewed.
    pub fn has_ended(&self, now: Seconds) -> bool {
        let tokens = &self.session.tokens;
        tokens.refresh.is_none() && tokens.expires.is_some_and(|end| end <= now)
    }
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the store.
    Stored(Key),
    /// In cookies; whether they have to be written anew, for the session is in use.
    Cookie {
        /// Whether it is time to say that it is in use.
        stale: bool,
    },
}

/// What is sealed in cookies.
#[derive(Serialize, Deserialize)]
struct Carried<S> {
    session: S,
    seen: Seconds,
}

impl Sessions {
    /// Sessions in this store.
    pub fn new(store: Store, jar: Jar, keys: Reloading<Keys>, times: (Seconds, Seconds)) -> Self {
        Self { store, jar, keys, ended: Ended::default(), once: Once::default(), times }
    }

    /// The keys that seal.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.get()
    }

    /// The session that the cookies of a request name. Where somebody else has set cookies of our name, those that open nothing
    /// do not count. Two sessions are none: nobody knows which of them is the person's own, and the next login ends both.
    pub async fn find(&self, jar: &Jar, cookies: &str, now: Seconds) -> Result<Option<Found>, Error> {
        let mut all = self.find_all(jar, cookies, now).await?;
        Ok(if all.len() == 1 { all.pop().map(|(_, found)| found) } else { None })
    }

    /// All sessions that the cookies of a request name, with their values.
    pub(crate) async fn find_all(
        &self,
        jar: &Jar,
        cookies: &str,
        now: Seconds,
    ) -> Result<SmallVec<[(String, Found); 1]>, Error> {
        let mut all = SmallVec::<[(String, Found); 1]>::new();
        for value in jar.sessions(cookies) {
            let Some(found) = self.find_value(jar, &value, now).await? else { continue };
            // One in cookies may be there twice, of now and of a while ago.
            if all.iter().all(|(_, known)| known.session.id != found.session.id) {
                all.push((value, found));
            }
        }
        Ok(all)
    }

    async fn find_value(&self, jar: &Jar, value: &str, now: Seconds) -> Result<Option<Found>, Error> {
        match (value.split_at_checked(1), &self.store) {
            // What cannot be one of ours costs no look into the store.
            (Some(("s", id)), Store::Memory(_) | Store::Redis(..)) if random::is_token(id) => {
                let key = Key::of(id);
                let found = self.load(&key, now).await?;
                Ok(found.map(|session| Found { session, place: Place::Stored(key) }))
            }
            (Some(("c", sealed)), Store::Cookie | Store::Redis(_, true)) => Ok(self.carried(jar, sealed, now)),
            _ => Ok(None),
        }
    }

    /// A session of the store, which is in use now.
    pub async fn load(&self, key: &Key, now: Seconds) -> Result<Option<Arc<Session>>, Error> {
        Ok(match &self.store {
            Store::Memory(memory) => memory.load(key, self.times.0, now),
            Store::Redis(redis, _) => redis.load(key, &self.keys.get(), self.times, now).await?,
            Store::Cookie => None,
        })
    }

    fn carried(&self, jar: &Jar, sealed: &str, now: Seconds) -> Option<Found> {
        let carried: Carried<Session> = self.keys.get().open_text(Purpose::Cookie, jar.session_name(), sealed)?;
        let (idle, lifetime) = self.times;
        let Carried { session, seen } = carried;
        let over = now >= seen.saturating_add(idle) || now >= session.created.saturating_add(lifetime);
        if over || self.ended.has(&session, now) {
            return None;
        }
        let stale = now >= seen + (idle / 8).max(1);
        Some(Found { session: Arc::new(session), place: Place::Cookie { stale } })
    }

    /// Begins a session under a new id, ends those that the cookies named before, and gives its value and the cookies that
    /// carry it.
    pub async fn begin(
        &self,
        jar: &Jar,
        session: &Session,
        cookies: &str,
        now: Seconds,
    ) -> Result<(String, Vec<String>), Error> {
        for (_, old) in self.find_all(jar, cookies, now).await.unwrap_or_default() {
            self.end(&old, now).await?;
        }
        let id = random::token();
        let key = Key::of(&id);
        let (idle, lifetime) = self.times;
        match &self.store {
            Store::Memory(memory) => memory.create(key, session, idle, now + lifetime, now)?,
            Store::Redis(redis, in_cookies) => {
                let kept = redis.create(&key, session, &self.keys.get(), self.times, now).await;
                if kept.is_err() && *in_cookies {
                    return self.carry(jar, session, cookies, now);
                }
                if !kept? {
                    return Err(Error::Ended);
                }
            }
            Store::Cookie => return self.carry(jar, session, cookies, now),
        }
        let value = format!("s{id}");
        let cookies = jar.set_session(&value, lifetime, cookies).ok_or(Error::TooLarge)?;
        Ok((value, cookies))
    }

    /// The session's value as a whole, and the cookies that carry it.
    fn carry(&self, jar: &Jar, session: &Session, cookies: &str, now: Seconds) -> Result<(String, Vec<String>), Error> {
        let carried = Carried { session, seen: now };
        let sealed = self.keys.get().seal_text(Purpose::Cookie, jar.session_name(), &carried);
        let left = (session.created + self.times.1).saturating_sub(now);
        let value = format!("c{sealed}");
        let cookies = jar.set_session(&value, left, cookies).ok_or(Error::TooLarge)?;
        Ok((value, cookies))
    }

    /// Cookies that say that a session in cookies is in use, when it is time to.
    pub fn touch(&self, jar: &Jar, found: &Found, cookies: &str, now: Seconds) -> Vec<String> {
        match found.place {
            Place::Cookie { stale: true } => self.carry(jar, &found.session, cookies, now).unwrap_or_default().1,
            _ => Vec::new(),
        }
    }

    /// Puts renewed tokens in place, unless the session has ended meanwhile: then it is not there any more. Gives the cookies.
    pub async fn replace(
        &self,
        jar: &Jar,
        place: Place,
        session: &Session,
        cookies: &str,
        now: Seconds,
    ) -> Result<Option<Vec<String>>, Error> {
        let kept = match (place, &self.store) {
            (Place::Stored(key), Store::Memory(memory)) => memory.replace(&key, session),
            (Place::Stored(key), Store::Redis(redis, _)) => {
                redis.replace(&key, session, &self.keys.get(), self.times, now).await?
            }
            (Place::Cookie { .. }, _) => {
                return self.carry(jar, session, cookies, now).map(|(_, cookies)| Some(cookies));
            }
            (Place::Stored(_), Store::Cookie) => false,
        };
        Ok(kept.then(Vec::new))
    }

    /// Ends a session.
    pub async fn end(&self, found: &Found, now: Seconds) -> Result<(), Error> {
        match (found.place, &self.store) {
            (Place::Stored(key), Store::Memory(memory)) => drop(memory.remove(&key)),
            (Place::Stored(key), Store::Redis(redis, _)) => redis.remove(&key, &found.session).await?,
            _ => self.ended.end(&found.session.id, self.times.1, now),
        }
        Ok(())
    }

    /// Ends all sessions that a provider names, and says how many are known to have been there. What is not signed by the
    /// provider is remembered apart for sessions in cookies.
    pub async fn end_all(&self, whose: &Whose, signed: bool, now: Seconds) -> Result<usize, Error> {
        let name = whose.key();
        if signed {
            self.ended.end_all(name, self.times.1, now);
        } else {
            self.ended.end_unproven(name, now);
        }
        Ok(match &self.store {
            Store::Memory(memory) => memory.end(&name),
            Store::Redis(redis, _) => redis.end(&name).await?,
            Store::Cookie => 0,
        })
    }

    /// Notes a name for so long; whether it is used for the first time. Without Redis only this process knows.
    pub async fn first(&self, name: &str, lasts: Seconds, now: Seconds) -> Result<bool, Error> {
        Ok(match &self.store {
            Store::Redis(redis, _) => redis.put(name, b"1", lasts).await?,
            _ => self.once.put(name, None, now + lasts, now),
        })
    }

    /// Whether a name was noted.
    pub async fn is_used(&self, name: &str, now: Seconds) -> Result<bool, Error> {
        Ok(match &self.store {
            Store::Redis(redis, _) => redis.has(name).await?,
            _ => self.once.has(name, now),
        })
    }

    /// Keeps something for so long, to be taken once.
    pub async fn put(&self, name: &str, what: Vec<u8>, lasts: Seconds, now: Seconds) -> Result<bool, Error> {
        Ok(match &self.store {
            Store::Redis(redis, _) => redis.put(name, &what, lasts).await?,
            _ => self.once.put(name, Some(what), now + lasts, now),
        })
    }

    /// Takes what was kept.
    pub async fn take(&self, name: &str, now: Seconds) -> Result<Option<Vec<u8>>, Error> {
        Ok(match &self.store {
            Store::Redis(redis, _) => redis.take(name).await?,
            _ => self.once.take(name, now),
        })
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Seconds) {
        if let Store::Memory(memory) = &self.store {
            memory.sweep(now);
        }
        self.once.sweep(now);
    }
}
