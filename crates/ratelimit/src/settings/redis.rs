//! Where Redis is, how it is talked to, and what happens without it.

use std::path::PathBuf;
use std::time::Duration;

use kit::config::{Document, Finding};
use kit::net::Address;
use kit::redact::Redacted;
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

/// A Redis: one of `address`, `sentinel` and `cluster`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Server {
    /// A single server: `host:port` or `unix:/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The master that Sentinels know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<Sentinel>,
    /// Some nodes of a cluster: `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster: Vec<Address>,
    /// The user of Redis' access control; the default user when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Redacted<String>>,
    /// The database of a server that is no cluster. Default 0.
    pub database: i64,
    /// TLS; plain text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Connections of each processor, of which each carries many requests at a time. A cluster has one to each node.
    /// Default 1.
    pub connections: usize,
}

/// Sentinels and the master they watch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Sentinel {
    /// The master's name.
    pub master: String,
    /// The Sentinels: `host:port`.
    pub addresses: Vec<Address>,
    /// The user at the Sentinels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password at the Sentinels, which is not that of Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Redacted<String>>,
}

/// TLS to Redis. The files are read anew for each connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Tls {
    /// PEM file with the authorities of the server's certificate; those of the system when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM file with our certificate and its chain, for servers that want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file with our private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
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

impl Default for Server {
    fn default() -> Self {
        Self {
            address: None,
            sentinel: None,
            cluster: Vec::new(),
            username: None,
            password: None,
            database: 0,
            tls: None,
            connections: 1,
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
            if let Some((part, what)) = server.wrong() {
                return wrong(&format!("{field}{part}"), what);
            }
        }
        Ok(())
    }
}

impl Server {
    /// What is wrong, with the field below this one.
    fn wrong(&self) -> Option<(&'static str, String)> {
        let kinds = [self.address.is_some(), self.sentinel.is_some(), !self.cluster.is_empty()];
        if kinds.into_iter().filter(|set| *set).count() != 1 {
            return Some(("", "needs exactly one of address, sentinel and cluster".to_owned()));
        }
        let named = self.sentinel.iter().flat_map(|sentinel| &sentinel.addresses).chain(&self.cluster);
        if named.clone().any(|address| matches!(address, Address::Unix(_))) {
            return Some(("", "sentinel and cluster have addresses host:port, no sockets".to_owned()));
        }
        if self.sentinel.as_ref().is_some_and(|sentinel| sentinel.master.is_empty() || sentinel.addresses.is_empty()) {
            return Some((".sentinel", "needs master (its name) and addresses".to_owned()));
        }
        if self.connections == 0 {
            return Some((".connections", "is 0, allowed: 1 and more".to_owned()));
        }
        let tls = self.tls.as_ref().filter(|tls| tls.cert.is_some() != tls.key.is_some());
        tls.map(|_| (".tls", "needs cert and key together, or none of them".to_owned()))
    }
}
