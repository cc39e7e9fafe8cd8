//! Where a Redis is and how it is logged in to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::net::Address;
use crate::redact::Redacted;

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
    /// Connections, each of which carries many requests at a time. A cluster has one to each node. Default 1.
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

impl Server {
    /// What is wrong, with the field below this one.
    pub fn problem(&self) -> Option<(&'static str, String)> {
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
