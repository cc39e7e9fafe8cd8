//! Sessions, as configured: how long they last and where they are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long sessions last and where they are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Sessions {
    /// Where they are kept.
    pub store: Store,
    /// A session ends when nobody used it for so long. Default 1h.
    #[serde(with = "kit::duration")]
    pub idle_timeout: Duration,
    /// A session ends so long after the login. Default 12h.
    #[serde(with = "kit::duration")]
    pub lifetime: Duration,
    /// Access tokens are renewed so long before they expire. Default 1m.
    #[serde(with = "kit::duration")]
    pub refresh_ahead: Duration,
}

/// Where sessions are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Store {
    /// In this process.
    Memory(MemoryStore),
    /// In Redis, for several of this service.
    Redis(Box<RedisStore>),
    /// In the browser's cookies.
    Cookie(CookieStore),
}

/// Sessions in this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct MemoryStore {
    /// The most sessions; when there are as many, nobody else can log in. Default 100,000.
    pub max_sessions: usize,
}

/// Sessions in Redis.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RedisStore {
    /// The Redis.
    pub server: kit::redis::Server,
    /// How long a request waits for Redis. Default 100ms.
    #[serde(with = "kit::duration")]
    pub deadline: Duration,
    /// After how many failed calls in a row Redis is left alone until it answers again. Default 10.
    pub breaker_failures: u32,
    /// What becomes of people who log in while Redis does not answer. Default closed.
    pub on_failure: OnFailure,
    /// Before every key. Default `portcullis:`.
    pub prefix: String,
}

/// What becomes of people who log in while Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// They are asked to try again.
    #[default]
    Closed,
    /// Their session lies in their browser's cookies.
    Cookies,
}

/// Sessions in cookies.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CookieStore {}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            store: Store::Memory(MemoryStore::default()),
            idle_timeout: Duration::from_secs(3600),
            lifetime: Duration::from_secs(12 * 3600),
            refresh_ahead: Duration::from_secs(60),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { max_sessions: 100_000 }
    }
}

impl Default for RedisStore {
    fn default() -> Self {
        Self {
            server: kit::redis::Server::default(),
            deadline: Duration::from_millis(100),
            breaker_failures: 10,
            on_failure: OnFailure::default(),
            prefix: "portcullis:".to_owned(),
        }
    }
}

impl Sessions {
    pub(super) fn problem(&self) -> Option<(String, String)> {
        if self.idle_timeout < Duration::from_secs(1) || self.lifetime < Duration::from_secs(1) {
            return Some((String::new(), "idleTimeout and lifetime have to be 1s at least".into()));
        }
        let Store::Redis(redis) = &self.store else { return None };
        if redis.deadline.is_zero() || redis.breaker_failures == 0 {
            return Some(("store.redis".into(), "deadline and breakerFailures have to be more than 0".into()));
        }
        redis.server.problem().map(|(part, what)| (format!("store.redis.server{part}"), what))
    }
}
