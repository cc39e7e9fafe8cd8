//! What the controller decides, beside what resources say.

use std::time::Duration;

/// What the controller decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the rate limit service is asked.
    pub rate_limit: RateLimitSettings,
    /// The file with the authorities that the system trusts, on the machine that Envoy runs on.
    pub system_authorities: String,
    /// Whether Envoy runs in a pod, where it cannot bind every port ([`crate::bound_ports()`]).
    pub in_pod: bool,
}

/// How the rate limit service is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimitSettings {
    /// Requests are answered 500 while the service does not answer. They pass unless set.
    pub fail_closed: bool,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl Default for Settings {
    /// As Envoy Gateway has it, on Debian and Alpine.
    fn default() -> Self {
        Self {
            rate_limit: RateLimitSettings { fail_closed: false, timeout: Duration::from_millis(20) },
            system_authorities: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
            in_pod: false,
        }
    }
}
