//! Where the rate limit service is, which counts for `BackendTrafficPolicy.rateLimit.global`.

use serde::{Deserialize, Serialize};

use super::kubernetes_listen::is_address;
use crate::ext::Duration;

/// The rate limit service that all Envoys ask, by Envoy's own protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Where it is.
    pub service: RateLimitService,
    /// How long an answer is waited for; 20 ms unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether requests are answered 500 while the service does not answer. They pass unless set.
    #[serde(default)]
    pub fail_closed: bool,
    /// Host and port at which the service gets its configuration; in a cluster 0.0.0.0:18001 unless set, or 127.0.0.1:18001
    /// where the controller has no certificates (`--certs`). On a machine it gets it by the Unix socket `ratelimit.sock` in the runtime directory, and at this address too where it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_address: Option<String>,
}

/// A service by name or address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitService {
    /// A DNS name or an address.
    pub host: String,
    /// The port; 8081 unless set.
    #[serde(default = "port")]
    pub port: u16,
}

fn port() -> u16 {
    8081
}

impl RateLimit {
    pub(super) fn validate(&self, found: &mut Vec<String>) {
        if self.service.host.is_empty() {
            found.push("rateLimit.service.host: is empty; write a name or an address".to_owned());
        }
        if let Some(Err(error)) = self.timeout.as_ref().map(Duration::parse) {
            found.push(format!("rateLimit.timeout: {error}"));
        }
        if let Some(address) = self.config_address.as_ref().filter(|address| !is_address(address)) {
            found.push(format!("rateLimit.configAddress: {address:?} is not a host and a port, such as 0.0.0.0:18001"));
        }
    }
}
