//! What the service counts. [`Name`] is the catalogue: a metric that is not in it does not exist.
//!
//! Labels are bounded: domains and rules are those of the configuration, and go with it. Values of descriptors become labels
//! only where a rule asks for it, and only the first [`MOST_VALUES`] of a domain; the rest share the label `other`.

mod series;

use kit::metrics::{Described, counter, counters, doubling, gauge, gauges, histograms};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use crate::rules::{Rule, Rules};
use series::Series;

pub use series::{MOST_VALUES, RuleCounters};

/// Every metric of the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Answered requests.
    Requests,
    /// Requests that were refused as malformed.
    Malformed,
    /// Requests for domains without rules.
    UnknownDomain,
    /// Hits of a rule.
    Hits,
    /// Hits within the limit.
    Within,
    /// Hits in the last part of the limit.
    Near,
    /// Hits over the limit.
    Over,
    /// Hits over the limit that the local cache knew of.
    OverCached,
    /// Hits over the limit that shadow mode let through.
    Shadow,
    /// Requests over a limit that the global shadow mode let through.
    GlobalShadow,
    /// Time of a call to the store.
    StoreSeconds,
    /// Requests that were answered without the store.
    Fallbacks,
    /// Requests that were admitted from leases.
    Leased,
    /// Whether the store is left alone because it fails.
    BreakerOpen,
    /// Values in the store that were no counters.
    Repaired,
    /// Counters in the embedded store.
    MemoryKeys,
    /// Counters that the embedded store forgot for want of room.
    Evictions,
    /// Rules from a control plane.
    Updates,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Requests,
        Self::Malformed,
        Self::UnknownDomain,
        Self::Hits,
        Self::Within,
        Self::Near,
        Self::Over,
        Self::OverCached,
        Self::Shadow,
        Self::GlobalShadow,
        Self::StoreSeconds,
        Self::Fallbacks,
        Self::Leased,
        Self::BreakerOpen,
        Self::Repaired,
        Self::MemoryKeys,
        Self::Evictions,
        Self::Updates,
    ];
}

impl Described for Name {
    fn is_histogram(self) -> bool {
        matches!(self, Self::StoreSeconds)
    }

    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        const RULE: &[&str] = &["domain", "rule"];
        match self {
            Self::Requests => ("ratelimit_requests_total", "Answered requests, by code (ok, over_limit).", &["code"]),
            Self::Malformed => {
                ("ratelimit_malformed_requests_total", "Requests refused as malformed, by reason.", &["reason"])
            }
            Self::UnknownDomain => ("ratelimit_unknown_domain_total", "Requests for domains without rules.", &[]),
            Self::Hits => ("ratelimit_hits_total", "Hits, by domain and rule.", RULE),
            Self::Within => ("ratelimit_within_limit_total", "Hits within the limit.", RULE),
            Self::Near => ("ratelimit_near_limit_total", "Hits in the last part of the limit (nearLimitRatio).", RULE),
            Self::Over => ("ratelimit_over_limit_total", "Hits over the limit.", RULE),
            Self::OverCached => {
                ("ratelimit_over_limit_local_cache_total", "Hits over the limit that the local cache knew of.", RULE)
            }
            Self::Shadow => {
                ("ratelimit_shadow_mode_total", "Hits over the limit that a rule's shadow mode let through.", RULE)
            }
            Self::GlobalShadow => (
                "ratelimit_global_shadow_mode_total",
                "Requests over a limit that the global shadow mode let through.",
                &[],
            ),
            Self::StoreSeconds => ("ratelimit_store_seconds", "Time of a call to the store.", &[]),
            Self::Fallbacks => (
                "ratelimit_fallback_total",
                "Requests of which limits were answered without the store, by answer (allow, deny, local) and reason.",
                &["answer", "reason"],
            ),
            Self::Leased => ("ratelimit_leased_total", "Requests admitted from leases, without the store.", &[]),
            Self::BreakerOpen => {
                ("ratelimit_breaker_open", "1 while a Redis is left alone because it fails, else 0.", &["redis"])
            }
            Self::Repaired => {
                ("ratelimit_repaired_total", "Values in the store that were no counters, and were replaced.", &[])
            }
            Self::MemoryKeys => ("ratelimit_memory_keys", "Counters in the embedded store.", &[]),
            Self::Evictions => (
                "ratelimit_memory_evictions_total",
                "Live counters that the embedded store forgot for want of room.",
                &[],
            ),
            Self::Updates => (
                "ratelimit_xds_updates_total",
                "Rules that a control plane sent, by outcome (ack, nack).",
                &["outcome"],
            ),
        }
    }
}

/// The metrics of one service.
#[derive(Debug)]
pub struct Metrics {
    /// Requests that were let through.
    pub passed: IntCounter,
    /// Requests that were refused.
    pub refused: IntCounter,
    /// Malformed requests by reason.
    pub malformed: IntCounterVec,
    /// Requests for unknown domains.
    pub unknown_domain: IntCounter,
    /// Requests let through by the global shadow mode.
    pub global_shadow: IntCounter,
    /// Time of a call to the store.
    pub store_seconds: Histogram,
    /// Requests answered without the store, by answer and reason.
    pub fallbacks: IntCounterVec,
    /// Requests admitted from leases.
    pub leased: IntCounter,
    /// Whether the breaker is open.
    pub breaker_open: IntGaugeVec,
    /// Replaced values.
    pub repaired: IntCounter,
    /// Counters in the embedded store.
    pub memory_keys: IntGauge,
    /// Forgotten counters.
    pub evictions: IntCounter,
    /// Rules from a control plane, by outcome.
    pub updates: IntCounterVec,
    series: Series,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Panics
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> Self {
        let requests = counters(registry, Name::Requests);
        let store_seconds = histograms(registry, Name::StoreSeconds, doubling(0.000_05, 14));
        Self {
            passed: requests.with_label_values(&["ok"]),
            refused: requests.with_label_values(&["over_limit"]),
            malformed: counters(registry, Name::Malformed),
            unknown_domain: counter(registry, Name::UnknownDomain),
            global_shadow: counter(registry, Name::GlobalShadow),
            store_seconds: store_seconds.with_label_values::<&str>(&[]),
            fallbacks: counters(registry, Name::Fallbacks),
            leased: counter(registry, Name::Leased),
            breaker_open: gauges(registry, Name::BreakerOpen),
            repaired: counter(registry, Name::Repaired),
            memory_keys: gauge(registry, Name::MemoryKeys),
            evictions: counter(registry, Name::Evictions),
            updates: counters(registry, Name::Updates),
            series: Series::register(registry),
        }
    }

    /// The counters of all rules, by their index.
    pub fn of_rules(&self, rules: &Rules) -> Vec<RuleCounters> {
        self.series.of_rules(rules)
    }

    /// Forgets what was counted of rules that are not among these.
    pub fn keep_only(&self, rules: &Rules) {
        self.series.keep_only(rules);
    }

    /// The counters of a rule whose label is made of values of descriptors.
    pub fn of_values(&self, rule: &Rule, label: &str) -> RuleCounters {
        self.series.of_values(rule, label)
    }

    /// The counters of limits that requests bring themselves.
    pub fn of_overrides(&self, domain: &str) -> RuleCounters {
        self.series.of_overrides(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_registered() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        metrics.of_overrides("edge").hits.inc();
        kit::testing::assert_catalogue(&Name::ALL, &registry);
    }
}
