//! The rate limit service, which counts for `BackendTrafficPolicy.rateLimit.global`: where it is, or how it is run.

use serde::{Deserialize, Serialize};

use super::{RateLimitBackend, RateLimitTelemetry, kubernetes_listen::is_address};
use crate::ext::Duration;

/// The rate limit service that all Envoys ask, by Envoy's own protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Where it is, when others run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<RateLimitService>,
    /// Where it counts. With this the controller runs it, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<RateLimitBackend>,
    /// How long an answer is waited for; 20 ms unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whether requests are answered 500 while the service does not answer. They pass unless set.
    #[serde(default)]
    pub fail_closed: bool,
    /// What the service tells of itself, where the controller runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<RateLimitTelemetry>,
    /// Host and port at which the service gets its configuration; in a cluster 0.0.0.0:18001 unless set, or 127.0.0.1:18001
    /// where the controller has no certificates (`--certs`). On a machine it gets it by the Unix socket `ratelimit.sock` in
    /// the runtime directory, and at this address too where it is set.
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
    /// `in_cluster`: whether the controller can run it.
    pub(super) fn validate(&self, in_cluster: bool, found: &mut Vec<String>) {
        match (&self.service, &self.backend) {
            (None, None) => found.push(
                "rateLimit: names no service; write `backend` for one that the controller runs, or `service` for one that is \
                 there"
                    .to_owned(),
            ),
            (Some(_), Some(_)) => found.push(
                "rateLimit.service: is for a service that others run, and `backend` for one that the controller runs; leave \
                 one of them out"
                    .to_owned(),
            ),
            (None, Some(_)) if !in_cluster => found.push(
                "rateLimit.backend: the controller runs the service in a cluster only; start portcullis-ratelimit and name \
                 it in rateLimit.service"
                    .to_owned(),
            ),
            (None, Some(backend)) => backend.validate(found),
            (Some(service), None) => {
                if service.host.is_empty() {
                    found.push("rateLimit.service.host: is empty; write a name or an address".to_owned());
                }
                if self.telemetry.is_some() {
                    found.push("rateLimit.telemetry: is for a service that the controller runs (`backend`)".to_owned());
                }
            }
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.validate(found);
        }
        if let Some(Err(error)) = self.timeout.as_ref().map(Duration::parse) {
            found.push(format!("rateLimit.timeout: {error}"));
        }
        if let Some(address) = self.config_address.as_ref().filter(|address| !is_address(address)) {
            found.push(format!("rateLimit.configAddress: {address:?} is not a host and a port, such as 0.0.0.0:18001"));
        }
    }
}
