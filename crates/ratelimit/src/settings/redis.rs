//! Where Redis is, how it is talked to, and what happens without it.

use std::time::Duration;

use kit::config::{Document, Finding};
pub use kit::redis::Server;
use serde::{Deserialize, Serialize};

/// Counters in Redis.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RedisSettings {
    /// The Redis of all limits.
    pub server: Server,
    /// Another one for limits per second: they change most and matter least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<Server>,
    /// How long a request waits for Redis. Default 20ms.
    #[serde(with = "kit::duration")]
    pub deadline: Duration,
    /// After how many failed calls in a row Redis is left alone until it answers again. Default 10.
    pub breaker_failures: u32,
    /// What becomes of requests while Redis does not answer. Default allow.
    pub on_failure: OnFailure,
    /// How many of this service share the limits: with `onFailure: local` each admits its part. Default 1.
    pub replicas: u32,
    /// Not ready while Redis does not answer. Otherwise only until it has answered once: a service that is not ready is not
    /// asked, and then Envoy decides alone. Default false.
    pub ready_only_with_redis: bool,
}

/// What becomes of requests while Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// They are let through.
    #[default]
    Allow,
    /// They are refused.
    Deny,
    /// They are counted in this process, against the limit divided by `replicas`.
    Local,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            server: Server::default(),
            per_second: None,
            deadline: Duration::from_millis(20),
            breaker_failures: 10,
            on_failure: OnFailure::default(),
            replicas: 1,
            ready_only_with_redis: false,
        }
    }
}

impl RedisSettings {
    pub(super) fn check(&self, document: &Document) -> Result<(), Finding> {
        let wrong = |field: &str, what: String| Err(document.finding(&format!("store.redis.{field}"), what));
        if self.deadline.is_zero() || self.breaker_failures == 0 || self.replicas == 0 {
            return wrong("", "deadline, breakerFailures and replicas have to be more than 0".to_owned());
        }
        let servers = [("server", Some(&self.server)), ("perSecond", self.per_second.as_ref())];
        for (field, server) in servers.into_iter().filter_map(|(field, server)| Some((field, server?))) {
            if let Some((part, what)) = server.problem() {
                return wrong(&format!("{field}{part}"), what);
            }
        }
        Ok(())
    }
}
