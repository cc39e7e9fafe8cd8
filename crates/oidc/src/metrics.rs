//! What the service counts. [`Name`] is the catalogue: a metric that is not in it does not exist.
//!
//! Labels are bounded: providers are those of the configuration, all else is a word of this code. Nothing that a client sends
//! becomes a label.

use kit::metrics::{Described, counters, doubling, gauge, histograms};
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

/// Every metric of the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Checks by outcome.
    Checks,
    /// Time of a check.
    CheckSeconds,
    /// Refusals by reason.
    Denials,
    /// Logins by outcome.
    Logins,
    /// Browsers that log in again and again.
    LoginLoops,
    /// Refreshes by outcome.
    Refreshes,
    /// Ended sessions by how.
    Logouts,
    /// Time of a request to a provider.
    ProviderSeconds,
    /// What providers failed at.
    ProviderErrors,
    /// Time of a call to the store.
    StoreSeconds,
    /// Failed calls to the store.
    StoreFailures,
    /// Whether the store is left alone.
    BreakerOpen,
    /// Sessions in this process.
    Sessions,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Checks,
        Self::CheckSeconds,
        Self::Denials,
        Self::Logins,
        Self::LoginLoops,
        Self::Refreshes,
        Self::Logouts,
        Self::ProviderSeconds,
        Self::ProviderErrors,
        Self::StoreSeconds,
        Self::StoreFailures,
        Self::BreakerOpen,
        Self::Sessions,
    ];
}

impl Described for Name {
    fn is_histogram(self) -> bool {
        matches!(self, Self::CheckSeconds | Self::ProviderSeconds | Self::StoreSeconds)
    }

    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Checks => (
                "oidc_checks_total",
                "Checked requests, by outcome (session, bearer, anonymous, login, denied, own, error).",
                &["outcome"],
            ),
            Self::CheckSeconds => ("oidc_check_seconds", "Time of a check.", &[]),
            Self::Denials => ("oidc_denials_total", "Refused requests, by reason.", &["reason"]),
            Self::Logins => ("oidc_logins_total", "Logins, by provider and outcome.", &["provider", "outcome"]),
            Self::LoginLoops => (
                "oidc_login_loops_total",
                "Logins that were not begun, for the browser came back from the last ones without a session.",
                &[],
            ),
            Self::Refreshes => {
                ("oidc_refreshes_total", "Renewed tokens, by provider and outcome.", &["provider", "outcome"])
            }
            Self::Logouts => ("oidc_logouts_total", "Ended sessions, by how (local, back, front, refresh).", &["how"]),
            Self::ProviderSeconds => {
                ("oidc_provider_seconds", "Time of a request to a provider.", &["provider", "request"])
            }
            Self::ProviderErrors => (
                "oidc_provider_errors_total",
                "What providers failed at, by kind (unavailable, inside, client, grant, refused, invalid).",
                &["provider", "kind"],
            ),
            Self::StoreSeconds => ("oidc_store_seconds", "Time of a call to the store.", &["call"]),
            Self::StoreFailures => {
                ("oidc_store_failures_total", "Calls to the store that failed, by reason.", &["reason"])
            }
            Self::BreakerOpen => ("oidc_breaker_open", "1 while Redis is left alone because it fails, else 0.", &[]),
            Self::Sessions => ("oidc_sessions", "Sessions in this process's memory.", &[]),
        }
    }
}

/// The metrics of one service.
#[derive(Debug)]
pub struct Metrics {
    /// Checks by outcome.
    pub checks: IntCounterVec,
    /// Time of a check.
    pub check_seconds: prometheus::Histogram,
    /// Refusals by reason.
    pub denials: IntCounterVec,
    /// Logins by provider and outcome.
    pub logins: IntCounterVec,
    /// Browsers that log in again and again.
    pub login_loops: IntCounter,
    /// Refreshes by provider and outcome.
    pub refreshes: IntCounterVec,
    /// Ended sessions by how.
    pub logouts: IntCounterVec,
    /// Time of requests to providers.
    pub provider_seconds: HistogramVec,
    /// Failures of providers by kind.
    pub provider_errors: IntCounterVec,
    /// Time of calls to the store.
    pub store_seconds: HistogramVec,
    /// Failed calls to the store.
    pub store_failures: IntCounterVec,
    /// Whether the store is left alone.
    pub breaker_open: IntGauge,
    /// Sessions in this process.
    pub sessions: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Panics
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> Self {
        Self {
            checks: counters(registry, Name::Checks),
            check_seconds: histograms(registry, Name::CheckSeconds, doubling(0.000_01, 16))
                .with_label_values::<&str>(&[]),
            denials: counters(registry, Name::Denials),
            logins: counters(registry, Name::Logins),
            login_loops: counters(registry, Name::LoginLoops).with_label_values::<&str>(&[]),
            refreshes: counters(registry, Name::Refreshes),
            logouts: counters(registry, Name::Logouts),
            provider_seconds: histograms(registry, Name::ProviderSeconds, doubling(0.005, 12)),
            provider_errors: counters(registry, Name::ProviderErrors),
            store_seconds: histograms(registry, Name::StoreSeconds, doubling(0.000_05, 14)),
            store_failures: counters(registry, Name::StoreFailures),
            breaker_open: gauge(registry, Name::BreakerOpen),
            sessions: gauge(registry, Name::Sessions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_registered() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        metrics.checks.with_label_values(&["own"]).inc();
        kit::testing::assert_catalogue(&Name::ALL, &registry);
    }
}
