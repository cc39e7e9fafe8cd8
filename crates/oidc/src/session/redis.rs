//! Sessions in Redis, for several of this service.
//!
//! ```text
//! s:<key>   the session, sealed for this key; lives as long as it may rest
//! i:<name>  keys of the sessions that a provider ends by one name, scored by when they end
//! l:<key>   who is renewing the tokens of a session now
//! o:<name>  what may be used once, by the SHA-256 of its name
//! ```
//!
//! Each command names one key, so that it works on a cluster. What was opened is remembered by its bytes: a session is read from
//! Redis at each check, for it may have ended, and opened and parsed only when it changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Kit;
use kit::lanes::Lanes;
use kit::redis::{Failure, Link, Terms};
use redis::{Cmd, Value, cmd};
use tokio::time::Instant;

use super::remembered::Remembered;
use super::{Key, Session};
use crate::clock::Seconds;
use crate::metrics::Metrics;
use crate::seal::{Keys, Purpose};
use crate::settings::RedisStore;

/// Lengthens a lease that is still ours.
const RENEW: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
/// Ends a lease that is still ours.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Sessions in one Redis.
#[derive(Debug)]
pub struct Redis {
    link: Arc<Link>,
    deadline: Duration,
    prefix: String,
    opened: Mutex<Remembered<Opened>>,
    metrics: Arc<Metrics>,
}

/// A session as it was opened.
#[derive(Debug)]
struct Opened {
    sealed: Vec<u8>,
    session: Arc<Session>,
    /// When Redis was last told that it is in use.
    touched: Seconds,
}

impl Redis {
    /// Starts to connect, and returns at once. Each of the lanes has connections of its own.
    pub fn start(kit: &Kit, settings: &RedisStore, metrics: &Arc<Metrics>, lanes: &Lanes) -> Self {
        let terms = Terms {
            greeting: vec![cmd("PING")],
            lanes: Some(lanes.clone()),
            most_failures: settings.breaker_failures,
            open: metrics.breaker_open.clone(),
            closes_gate: false,
        };
        Self {
            link: Link::start(kit, "redis", settings.server.clone(), terms),
            deadline: settings.deadline,
            prefix: settings.prefix.clone(),
            opened: Mutex::default(),
            metrics: Arc::clone(metrics),
        }
    }

    fn name(&self, kind: &str, key: &str) -> String {
        format!("{}{kind}:{key}", self.prefix)
    }

    async fn call(&self, what: &str, command: &Cmd) -> Result<Value, Failure> {
        let timer = self.metrics.store_seconds.with_label_values(&[what]).start_timer();
        let answer = self.link.call(command, Instant::now() + self.deadline).await;
        timer.observe_duration();
        answer.inspect_err(|failure| self.metrics.store_failures.with_label_values(&[failure.reason()]).inc())
    }

    /// The session. It may rest for `idle` from now on, and ends `lifetime` after its login.
    pub async fn load(
        &self,
        key: &Key,
        keys: &Keys,
        (idle, lifetime): (Seconds, Seconds),
        now: Seconds,
    ) -> Result<Option<Arc<Session>>, Failure> {
        let text = key.text();
        let name = self.name("s", &text);
        let Value::BulkString(sealed) = self.call("load", cmd("GET").arg(&name)).await? else {
            self.lock().remove(key);
            return Ok(None);
        };
        let Some((session, touched)) = self.open(key, &text, sealed, keys) else { return Ok(None) };
        let end = session.created + lifetime;
        if now >= end {
            self.remove(key, &session).await?;
            return Ok(None);
        }
        if now >= touched + (idle / 8).max(1) {
            let lasts = idle.min(end - now);
            self.call("touch", cmd("EXPIRE").arg(&name).arg(lasts)).await?;
            if let Some(opened) = self.lock().get(key) {
                opened.touched = now;
            }
        }
        Ok(Some(session))
    }

    fn lock(&self) -> MutexGuard<'_, Remembered<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, key: &Key, text: &str, sealed: Vec<u8>, keys: &Keys) -> Option<(Arc<Session>, Seconds)> {
        if let Some(opened) = self.lock().get(key).filter(|opened| opened.sealed == sealed) {
            return Some((Arc::clone(&opened.session), opened.touched));
        }
        let Some(plain) = keys.open(Purpose::Session, text, &sealed) else {
            tracing::warn!(
                "a session in Redis was not sealed by a key of this service for its place: it does not count"
            );
            return None;
        };
        let session: Arc<Session> = Arc::new(serde_json::from_slice(&plain).ok()?);
        self.lock().insert(*key, Opened { sealed, session: Arc::clone(&session), touched: 0 });
        Some((session, 0))
    }

    fn sealed(key: &Key, session: &Session, keys: &Keys) -> Vec<u8> {
        let plain = serde_json::to_vec(session).expect("claims have texts for keys");
        keys.seal(Purpose::Session, &key.text(), &plain)
    }

    /// Keeps a new session. False when its provider has ended all sessions of one of its names meanwhile, and so this one.
    pub async fn create(
        &self,
        key: &Key,
        session: &Session,
        keys: &Keys,
        (idle, lifetime): (Seconds, Seconds),
        now: Seconds,
    ) -> Result<bool, Failure> {
        // The index comes first: no session is there that cannot be ended.
        for name in session.ended_by() {
            let index = self.name("i", &name.text());
            self.call("index", cmd("ZREMRANGEBYSCORE").arg(&index).arg("-inf").arg(now)).await?;
            self.call("index", cmd("ZADD").arg(&index).arg(now + lifetime).arg(key.text())).await?;
            self.call("index", cmd("EXPIRE").arg(&index).arg(lifetime)).await?;
        }
        let sealed = Self::sealed(key, session, keys);
        let name = self.name("s", &key.text());
        self.call("create", cmd("SET").arg(&name).arg(sealed).arg("EX").arg(idle.min(lifetime)).arg("NX")).await?;
        // Whoever ends sessions takes them out of the index, and then away: either we see that here, or the session is gone.
        for name in session.ended_by() {
            let index = self.name("i", &name.text());
            if self.call("index", cmd("ZSCORE").arg(&index).arg(key.text())).await? == Value::Nil {
                // Whoever ended it takes it away, too.
                let _ = self.remove(key, session).await;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts renewed tokens in place, unless the session has ended meanwhile.
    pub async fn replace(
        &self,
        key: &Key,
        session: &Session,
        keys: &Keys,
        (idle, lifetime): (Seconds, Seconds),
        now: Seconds,
    ) -> Result<bool, Failure> {
        let lasts = idle.min((session.created + lifetime).saturating_sub(now)).max(1);
        let name = self.name("s", &key.text());
        let sealed = Self::sealed(key, session, keys);
        let answer = self.call("replace", cmd("SET").arg(&name).arg(sealed).arg("EX").arg(lasts).arg("XX")).await?;
        Ok(matches!(answer, Value::Okay))
    }

    /// Ends a session.
    pub async fn remove(&self, key: &Key, session: &Session) -> Result<(), Failure> {
        self.call("remove", cmd("DEL").arg(self.name("s", &key.text()))).await?;
        self.lock().remove(key);
        for name in session.ended_by() {
            self.call("index", cmd("ZREM").arg(self.name("i", &name.text())).arg(key.text())).await?;
        }
        Ok(())
    }

    /// Ends all sessions that are found by a name, and says how many there were.
    pub async fn end(&self, name: &Key) -> Result<usize, Failure> {
        let index = self.name("i", &name.text());
        let members = match self.call("end", cmd("ZRANGE").arg(&index).arg(0).arg(-1)).await? {
            Value::Array(members) => members,
            _ => Vec::new(),
        };
        let mut ended = 0;
        for member in members {
            let Value::BulkString(key) = member else { continue };
            let name = self.name("s", &String::from_utf8_lossy(&key));
            let end = async || self.call("end", cmd("DEL").arg(&name)).await;
            // The session first: when Redis fails in between, whoever tries again finds it. Once more afterwards: a login that
            // put it there meanwhile may have seen itself in the index. Who has logged in since stays there.
            let first = end().await?;
            self.call("end", cmd("ZREM").arg(&index).arg(&key)).await?;
            if first == Value::Int(1) || end().await? == Value::Int(1) {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Keeps something under a new name for so long; whether the name is new.
    pub async fn put(&self, name: &str, what: &[u8], lasts: Seconds) -> Result<bool, Failure> {
        let name = self.name("o", &Key::of(name).text());
        let command = cmd("SET").arg(name).arg(what).arg("EX").arg(lasts.max(1)).arg("NX").to_owned();
        Ok(matches!(self.call("once", &command).await?, Value::Okay))
    }

    /// Whether something is kept under a name.
    pub async fn has(&self, name: &str) -> Result<bool, Failure> {
        let name = self.name("o", &Key::of(name).text());
        Ok(matches!(self.call("once", cmd("EXISTS").arg(name)).await?, Value::Int(1)))
    }

    /// Takes away what is kept under a name.
    pub async fn take(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.call("once", cmd("GETDEL").arg(self.name("o", &Key::of(name).text()))).await? {
            Value::BulkString(what) => Ok(Some(what)),
            _ => Ok(None),
        }
    }

    /// Takes the right to renew a session's tokens, when nobody has it.
    pub async fn lease(&self, key: &Key, holder: &str, millis: u64) -> Result<bool, Failure> {
        let name = self.name("l", &key.text());
        let answer = self.call("lease", cmd("SET").arg(name).arg(holder).arg("PX").arg(millis).arg("NX")).await?;
        Ok(matches!(answer, Value::Okay))
    }

    /// Keeps the right for longer.
    pub async fn renew_lease(&self, key: &Key, holder: &str, millis: u64) -> Result<(), Failure> {
        let name = self.name("l", &key.text());
        self.call("lease", cmd("EVAL").arg(RENEW).arg(1).arg(name).arg(holder).arg(millis)).await.map(drop)
    }

    /// Gives the right back.
    pub async fn release(&self, key: &Key, holder: &str) -> Result<(), Failure> {
        let name = self.name("l", &key.text());
        self.call("lease", cmd("EVAL").arg(RELEASE).arg(1).arg(name).arg(holder)).await.map(drop)
    }
}
