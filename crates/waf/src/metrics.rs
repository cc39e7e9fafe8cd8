//! What the service counts. [`Name`] is the catalogue: a metric that is not in it does not exist.
//!
//! Labels are bounded: profiles are those of the configuration, and only the first [`MOST_RULES`] rules that ever match have
//! labels of their own; the rest share the label `other`.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use kit::metrics::{Described, counter, counters, doubling, gauge, gauges, histograms};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use crate::inspect::Outcome;
use crate::profile::{Loaded, OnFailure, Plan};

/// How many rules may have labels of their own.
pub const MOST_RULES: usize = 500;

/// Every metric of the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Requests, by what became of them.
    Transactions,
    /// What a profile that looks on would have done.
    Shadow,
    /// Time of the rules of a phase.
    PhaseSeconds,
    /// Matches of a rule.
    Matches,
    /// Anomaly scores of requests.
    Score,
    /// Bytes of bodies that were looked at.
    BodyBytes,
    /// Bodies that were longer than the limit.
    Cut,
    /// Requests whose body was to be looked at and did not come.
    MissedBodies,
    /// Requests that could not be judged.
    Failures,
    /// Requests that were turned away for want of room.
    Overload,
    /// Requests for profiles that do not exist.
    UnknownProfile,
    /// Streams that did not keep to the protocol.
    Malformed,
    /// Streams that are open.
    Streams,
    /// Entries of the audit log.
    Audit,
    /// Profiles in force.
    Profiles,
    /// Profiles that are not what their files say.
    Unusable,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Transactions,
        Self::Shadow,
        Self::PhaseSeconds,
        Self::Matches,
        Self::Score,
        Self::BodyBytes,
        Self::Cut,
        Self::MissedBodies,
        Self::Failures,
        Self::Overload,
        Self::UnknownProfile,
        Self::Malformed,
        Self::Streams,
        Self::Audit,
        Self::Profiles,
        Self::Unusable,
    ];
}

impl Described for Name {
    fn is_histogram(self) -> bool {
        matches!(self, Self::PhaseSeconds | Self::Score)
    }

    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Transactions => (
                "waf_transactions_total",
                "Requests, by profile and verdict (pass, block, detect, failure).",
                &["profile", "verdict"],
            ),
            Self::Shadow => (
                "waf_shadow_total",
                "What a profile that looks on would have done, by profile and verdict (pass, block, unknown).",
                &["profile", "verdict"],
            ),
            Self::PhaseSeconds => ("waf_phase_seconds", "Time of the rules of a phase.", &["phase"]),
            Self::Matches => ("waf_rule_matches_total", "Matches, by rule.", &["rule"]),
            Self::Score => ("waf_anomaly_score", "Anomaly scores of requests, by profile.", &["profile"]),
            Self::BodyBytes => ("waf_body_bytes_total", "Bytes of bodies, by direction.", &["direction"]),
            Self::Cut => (
                "waf_bodies_cut_total",
                "Bodies longer than the limit, by direction and what was looked at (part, nothing).",
                &["direction", "inspected"],
            ),
            Self::MissedBodies => {
                ("waf_missed_bodies_total", "Requests whose body was to be looked at, and was not sent.", &[])
            }
            Self::Failures => (
                "waf_failures_total",
                "Requests that could not be judged, by profile, answer (open, closed) and reason (engine, deadline).",
                &["profile", "answer", "reason"],
            ),
            Self::Overload => ("waf_overload_total", "Requests turned away because too many were waiting.", &[]),
            Self::UnknownProfile => ("waf_unknown_profile_total", "Requests for profiles that do not exist.", &[]),
            Self::Malformed => {
                ("waf_malformed_streams_total", "Streams that did not keep to the protocol, by reason.", &["reason"])
            }
            Self::Streams => ("waf_streams", "Streams that are open.", &[]),
            Self::Audit => (
                "waf_audit_entries_total",
                "Entries of the audit log, by outcome (written; dropped for want of room; lost of those that were to be written).",
                &["outcome"],
            ),
            Self::Profiles => ("waf_profiles", "Profiles in force.", &[]),
            Self::Unusable => (
                "waf_unusable_profiles",
                "1 for each profile (else its file) that cannot be used as it is now; its last good one, if any, is in force.",
                &["profile"],
            ),
        }
    }
}

/// A phase that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// With the connection, and with the body where there is none.
    RequestHeaders,
    /// When all of it is here.
    RequestBody,
    /// With the body where it is not looked at.
    ResponseHeaders,
    /// When all of it is here.
    ResponseBody,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::RequestHeaders => "request_headers",
            Self::RequestBody => "request_body",
            Self::ResponseHeaders => "response_headers",
            Self::ResponseBody => "response_body",
        }
    }
}

/// The metrics of one service.
#[derive(Debug)]
pub struct Metrics {
    /// Requests turned away.
    pub overload: IntCounter,
    /// Requests for profiles that do not exist.
    pub unknown_profile: IntCounter,
    /// Malformed streams, by reason.
    pub malformed: IntCounterVec,
    /// Open streams.
    pub streams: IntGauge,
    /// Entries of the audit log, by outcome.
    pub audit: IntCounterVec,
    profiles: IntGauge,
    unusable: IntGaugeVec,
    transactions: IntCounterVec,
    shadow: IntCounterVec,
    phases: [Histogram; 4],
    matches: IntCounterVec,
    score: HistogramVec,
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    cut: IntCounterVec,
    missed_bodies: IntCounter,
    failures: IntCounterVec,
    rules: RwLock<HashSet<u32>>,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Panics
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> Self {
        let phases = histograms(registry, Name::PhaseSeconds, doubling(0.000_1, 14));
        let phase = |phase: Phase| phases.with_label_values(&[phase.name()]);
        let bytes = counters(registry, Name::BodyBytes);
        Self {
            overload: counter(registry, Name::Overload),
            unknown_profile: counter(registry, Name::UnknownProfile),
            malformed: counters(registry, Name::Malformed),
            streams: gauge(registry, Name::Streams),
            audit: counters(registry, Name::Audit),
            profiles: gauge(registry, Name::Profiles),
            unusable: gauges(registry, Name::Unusable),
            transactions: counters(registry, Name::Transactions),
            shadow: counters(registry, Name::Shadow),
            phases: [
                phase(Phase::RequestHeaders),
                phase(Phase::RequestBody),
                phase(Phase::ResponseHeaders),
                phase(Phase::ResponseBody),
            ],
            matches: counters(registry, Name::Matches),
            score: histograms(registry, Name::Score, vec![0.0, 2.0, 4.0, 5.0, 10.0, 15.0, 20.0, 40.0, 80.0]),
            request_bytes: bytes.with_label_values(&["request"]),
            response_bytes: bytes.with_label_values(&["response"]),
            cut: counters(registry, Name::Cut),
            missed_bodies: counter(registry, Name::MissedBodies),
            failures: counters(registry, Name::Failures),
            rules: RwLock::default(),
        }
    }

    /// Profiles were loaded.
    pub fn loaded(&self, loaded: &Loaded) {
        self.profiles.set(i64::try_from(loaded.profiles.iter().count()).unwrap_or(i64::MAX));
        self.unusable.reset();
        for failure in &loaded.failures {
            self.unusable.with_label_values(&[&failure.profile]).set(1);
        }
    }

    /// The rules of a phase took so long.
    pub fn phase(&self, phase: Phase, took: Duration) {
        self.phases[phase as usize].observe(took.as_secs_f64());
    }

    /// A body was longer than the limit, and a part of it was looked at or nothing.
    pub fn cut(&self, direction: &str, in_part: bool) {
        self.cut.with_label_values(&[direction, if in_part { "part" } else { "nothing" }]).inc();
    }

    /// A body was to be looked at, and did not come.
    pub fn missed_body(&self) {
        self.missed_bodies.inc();
    }

    /// A request could not be judged.
    pub fn failure(&self, plan: &Plan, reason: &str) {
        let answer = match plan.on_failure {
            OnFailure::Open => "open",
            OnFailure::Closed => "closed",
        };
        self.failures.with_label_values(&[&plan.name, answer, reason]).inc();
    }

    /// A request is over.
    pub fn ended(&self, outcome: &Outcome<'_>) {
        let profile = outcome.plan.name.as_str();
        self.transactions.with_label_values(&[profile, outcome.verdict()]).inc();
        self.score.with_label_values(&[profile]).observe(outcome.scores.0.into());
        self.request_bytes.inc_by(outcome.bodies.0);
        self.response_bytes.inc_by(outcome.bodies.1);
        for found in &outcome.matches {
            self.of_rule(found.rule).inc();
        }
        if let Some(shadow) = &outcome.shadow {
            self.shadow.with_label_values(&[&shadow.plan.name, shadow.verdict()]).inc();
        }
    }

    fn of_rule(&self, rule: u32) -> IntCounter {
        let known = self.rules.read().unwrap_or_else(PoisonError::into_inner).contains(&rule);
        let known = known || self.admit(rule);
        self.matches.with_label_values(&[if known { rule.to_string() } else { "other".to_owned() }])
    }

    fn admit(&self, rule: u32) -> bool {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.len() < MOST_RULES && rules.insert(rule) || rules.contains(&rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_registered() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        metrics.failure(&Plan::default(), "engine");
        kit::testing::assert_catalogue(&Name::ALL, &registry);
    }

    #[test]
    fn labels_of_rules_are_bounded() {
        let metrics = Metrics::register(&Registry::new());
        for rule in 0..u32::try_from(MOST_RULES).unwrap() + 50 {
            metrics.of_rule(rule).inc();
        }
        assert_eq!(metrics.matches.with_label_values(&["other"]).get(), 50);
        assert_eq!(metrics.matches.with_label_values(&["3"]).get(), 1);
    }
}
