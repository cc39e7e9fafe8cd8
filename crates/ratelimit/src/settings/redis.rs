//! Where Redis is, how it is talked to, and what happens without it.

use std::time::Duration;

use kit::config::{Document, Finding};
pub use kit::redis::Server;
use serde::{Deserialize, Serialize};

use crate::store::Terms;

/// Counters in Redis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RedisSettings {
    /// The Redis of all limits.
    pub server: Server,
    /// Another one for limits per second: they change most and matter least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<Server>,
    /// How long a request waits for Redis; has to be less than Envoy waits for this service, or Envoy answers first. Default
    /// 10ms: Envoy waits 20ms unless told otherwise.
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
    /// Take parts of large limits at once and admit from them without asking Redis. Off when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leases: Option<Terms>,
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
            deadline: Duration::from_millis(10),
            breaker_failures: 10,
            on_failure: OnFailure::default(),
            replicas: 1,
            ready_only_with_redis: false,
            leases: None,
        }
    }
}

impl RedisSettings {
    pub(super) fn check(&self, document: &Document) -> Result<(), Finding> {
        let wrong = |field: &str, what: String| Err(document.finding(&format!("store.redis.{field}"), what));
        let nothing = [
            ("deadline", self.deadline.is_zero()),
            ("breakerFailures", self.breaker_failures == 0),
            ("replicas", self.replicas == 0),
            ("leases.time", self.leases.is_some_and(|terms| terms.time.is_zero())),
        ];
        if let Some((field, _)) = nothing.into_iter().find(|(_, nothing)| *nothing) {
            return wrong(field, "is 0, allowed: more than that".to_owned());
        }
        if let Some(terms) = self.leases.filter(|terms| !(terms.share > 0.0 && terms.share <= 1.0)) {
            return wrong("leases.share", format!("is {}, allowed: more than 0, up to 1", terms.share));
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
