//! The service's own configuration, one YAML file; the rules are files of their own, or come from a control plane.

mod env;
pub mod redis;

use std::path::PathBuf;
use std::time::Duration;

use kit::Common;
use kit::config::{Document, Finding};
use kit::net::Address;
use kit::ports::{Grpc, Http};
use kit::redact::Redacted;
use serde::{Deserialize, Serialize};

use crate::algorithm::Counting;
use crate::decide::Policy;
use crate::key::Keys;
use crate::respond::{Answers, Headers};

/// The configuration of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// The admin port. Default 127.0.0.1:6070.
    pub admin: kit::admin::Settings,
    /// A port for scrapers, with the metrics and nothing else. None unless set: the admin port has them, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Address>,
    /// Logs and traces.
    pub telemetry: kit::telemetry::Settings,
    /// The orderly end.
    pub drain: kit::drain::Settings,
    /// Where Envoy asks.
    pub grpc: Grpc<8081>,
    /// `/healthcheck`, and `/json` for clients without gRPC unless gRPC wants their certificates.
    pub http: Http<8080>,
    /// Where the rules come from.
    pub rules: RulesFrom,
    /// Where counters are kept.
    pub store: StoreSettings,
    /// What counts when a request is refused: `countAll` (the default, as the reference) or `allOrNothing`.
    pub counting: Counting,
    /// Let everything through, and only count.
    pub shadow_mode: bool,
    /// Let everything through, and say in the response's metadata which limits are reached.
    pub quota_mode: bool,
    /// Describe each request in the response's dynamic metadata.
    pub dynamic_metadata: bool,
    /// Headers for clients.
    pub headers: Headers,
    /// From which part of a limit on hits are near it, 0 to 1. Default 0.8.
    pub near_limit_ratio: f32,
    /// How keys in the store are written.
    pub keys: KeySettings,
    /// Limits that are known to be exhausted.
    pub local_cache: LocalCache,
    /// A statsd server, which is sent metrics by the names of the reference. None when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statsd: Option<Statsd>,
}

/// A statsd server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Statsd {
    /// Its address (UDP). Default localhost:8125.
    pub address: Address,
    /// How often it is told what was counted since. Default 10s.
    #[serde(with = "kit::duration")]
    pub interval: Duration,
}

impl Default for Statsd {
    fn default() -> Self {
        Self { address: Address::Tcp("localhost:8125".to_owned()), interval: Duration::from_secs(10) }
    }
}

/// Limits that are known to be exhausted: requests against them are refused without asking the store.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LocalCache {
    /// How many are remembered; 0 to ask the store each time. Default 65,536 with Redis.
    pub max_keys: usize,
}

impl Default for LocalCache {
    fn default() -> Self {
        Self { max_keys: 65_536 }
    }
}

/// Where the rules come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RulesFrom {
    /// Files, or directories with all that is in them. They are followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// A control plane, instead of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xds: Option<XdsSettings>,
}

/// A control plane that sends the rules (`ratelimit.config.ratelimit.v3.RateLimitConfig` by ADS).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct XdsSettings {
    /// Its address. Default 127.0.0.1:18001, the controller's.
    pub address: Address,
    /// As what this service introduces itself. Default `default`.
    pub node_id: String,
    /// TLS; plain text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<kit::tls::ClientSettings>,
}

/// Where counters are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum StoreSettings {
    /// In this process.
    Memory(MemorySettings),
    /// In Redis.
    Redis(Box<redis::RedisSettings>),
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct MemorySettings {
    /// The most counters that are kept. Default 1,000,000.
    pub max_keys: usize,
}

/// How keys in the store are written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct KeySettings {
    /// Before every key.
    pub prefix: String,
    /// Write keys as the reference does, for a time in which both run on one Redis.
    pub legacy: bool,
    /// What hashed values are mixed with.
    pub secret: Redacted<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin: kit::admin::Settings::default(),
            metrics: None,
            telemetry: kit::telemetry::Settings::default(),
            drain: kit::drain::Settings::default(),
            grpc: Grpc::default(),
            http: Http::default(),
            rules: RulesFrom::default(),
            store: StoreSettings::Memory(MemorySettings::default()),
            counting: Counting::default(),
            shadow_mode: false,
            quota_mode: false,
            dynamic_metadata: false,
            headers: Headers::default(),
            near_limit_ratio: 0.8,
            keys: KeySettings::default(),
            local_cache: LocalCache::default(),
            statsd: None,
        }
    }
}

impl Default for XdsSettings {
    fn default() -> Self {
        let address = Address::Tcp("127.0.0.1:18001".to_owned());
        Self { address, node_id: "default".to_owned(), tls: None }
    }
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self { max_keys: 1_000_000 }
    }
}

impl Settings {
    /// How requests are decided.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            counting: self.counting,
            shadow: self.shadow_mode,
            quota: self.quota_mode,
            near_ratio: self.near_limit_ratio,
            keys: Keys { prefix: self.keys.prefix.clone(), legacy: self.keys.legacy, secret: self.keys.secret.clone() },
            // The embedded store is asked as quickly as the cache.
            remembered: if matches!(self.store, StoreSettings::Redis(_)) { self.local_cache.max_keys } else { 0 },
            answers: Answers { headers: self.headers.clone(), metadata: self.dynamic_metadata },
            ..Policy::default()
        }
    }
}

impl kit::Config for Settings {
    fn common(&self) -> Common {
        Common { admin: self.admin.clone(), telemetry: self.telemetry.clone(), drain: self.drain }
    }

    fn default_admin() -> &'static str {
        "127.0.0.1:6070"
    }

    fn with_environment(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, kit::config::Error> {
        env::apply(self, variable)
    }

    fn check(&self, document: &Document) -> Result<(), Finding> {
        if !(0.0..=1.0).contains(&self.near_limit_ratio) {
            return Err(document.finding("nearLimitRatio", format!("is {}, allowed: 0 to 1", self.near_limit_ratio)));
        }
        self.grpc.check(document)?;
        if let Some(statsd) = &self.statsd {
            if statsd.interval.is_zero() {
                return Err(document.finding("statsd.interval", "is 0, allowed: more than that, such as 10s"));
            }
            if matches!(statsd.address, Address::Unix(_)) {
                return Err(document.finding("statsd.address", "is a socket, allowed: host:port"));
            }
        }
        match &self.store {
            StoreSettings::Memory(memory) if memory.max_keys == 0 => {
                return Err(document.finding("store.memory.maxKeys", "is 0, allowed: 1 and more"));
            }
            StoreSettings::Memory(_) => {}
            StoreSettings::Redis(redis) => redis.check(document)?,
        }
        if self.rules.files.is_empty() == self.rules.xds.is_none() {
            let what = "needs either files (files or directories with rules) or xds (a control plane)";
            return Err(document.finding("rules", what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
