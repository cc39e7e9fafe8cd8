//! What the controller counts. [`Name`] is the catalogue: a metric that is not in it does not exist.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kit::metrics::{Described, counters, doubling, gauges, histograms};
use prometheus::{Histogram, IntCounterVec, IntGaugeVec, Registry, core::Collector as _};

use crate::{
    infra::kube::FleetState,
    pipeline::Times,
    source::{Problem, Severity},
};

/// Every metric of the controller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Time from resources to resolved gateways.
    TranslateSeconds,
    /// Time from resolved gateways to Envoy's resources.
    LowerSeconds,
    /// Time for end points and snapshots.
    SnapshotSeconds,
    /// Time until Envoys have acknowledged a change.
    AcknowledgedSeconds,
    /// Snapshots that were put into force.
    Snapshots,
    /// Answers of Envoys.
    Responses,
    /// Connected Envoys.
    Envoys,
    /// Problems of documents.
    Problems,
    /// Resources that are not in force as they are written.
    NotAccepted,
    /// Envoys that ended by themselves and were started again.
    Restarts,
    /// Whether a fleet's objects cannot be written.
    ObjectsFailed,
    /// Answers of the API server.
    ApiCalls,
    /// Writes of status.
    StatusWrites,
    /// Statuses that wait to be written.
    StatusQueue,
    /// Whether this controller is the leader.
    Leader,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::TranslateSeconds,
        Self::LowerSeconds,
        Self::SnapshotSeconds,
        Self::AcknowledgedSeconds,
        Self::Snapshots,
        Self::Responses,
        Self::Envoys,
        Self::Problems,
        Self::NotAccepted,
        Self::Restarts,
        Self::ObjectsFailed,
        Self::ApiCalls,
        Self::StatusWrites,
        Self::StatusQueue,
        Self::Leader,
    ];
}

impl Described for Name {
    fn is_histogram(self) -> bool {
        matches!(self, Self::TranslateSeconds | Self::LowerSeconds | Self::SnapshotSeconds | Self::AcknowledgedSeconds)
    }

    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::TranslateSeconds => {
                ("portcullis_translate_seconds", "Time from resources to resolved gateways, for each change.", &[])
            }
            Self::LowerSeconds => {
                ("portcullis_lower_seconds", "Time from resolved gateways to Envoy's resources, for each change.", &[])
            }
            Self::SnapshotSeconds => {
                ("portcullis_snapshot_seconds", "Time for end points and snapshots, for each change.", &[])
            }
            Self::AcknowledgedSeconds => (
                "portcullis_change_acknowledged_seconds",
                "Time from the start of translating a change of listeners or routes until all connected Envoys of the fleet have \
                 acknowledged it.",
                &[],
            ),
            Self::Snapshots => {
                ("portcullis_snapshots_total", "Configurations that were put into force, by fleet.", &["fleet"])
            }
            Self::Responses => (
                "portcullis_xds_responses_total",
                "Answered responses of the xDS server, by fleet, type and outcome (ack, nack).",
                &["fleet", "type", "outcome"],
            ),
            Self::Envoys => ("portcullis_envoys_connected", "Envoys that are connected, by fleet.", &["fleet"]),
            Self::Problems => {
                ("portcullis_document_problems", "Problems of documents, by severity (error, warning).", &["severity"])
            }
            Self::NotAccepted => (
                "portcullis_resources_not_accepted",
                "Resources whose status says that they are not in force as they are written, by kind.",
                &["kind"],
            ),
            Self::Restarts => (
                "portcullis_envoy_restarts",
                "How often an Envoy on this machine ended by itself and was started again, by fleet.",
                &["fleet"],
            ),
            Self::ObjectsFailed => (
                "portcullis_fleet_objects_failed",
                "1 while objects of a fleet, or of the rate limit service, cannot be written to the cluster, else 0.",
                &["fleet"],
            ),
            Self::ApiCalls => (
                "portcullis_api_calls_total",
                "Requests to the Kubernetes API server, by HTTP status; without one, it could not be reached.",
                &["code"],
            ),
            Self::StatusWrites => (
                "portcullis_status_writes_total",
                "Writes of status, by kind and outcome (written, conflict, error).",
                &["kind", "outcome"],
            ),
            Self::StatusQueue => ("portcullis_status_queue", "Statuses that wait to be written.", &[]),
            Self::Leader => ("portcullis_leader", "1 while this controller is the one that writes, else 0.", &[]),
        }
    }
}

/// The metrics of one controller. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The fleets in force, and services that are told something. What comes late of others is not counted: it would be told
    /// for ever.
    known: Arc<Mutex<BTreeSet<String>>>,
    translate: Histogram,
    lower: Histogram,
    snapshot: Histogram,
    acknowledged: Histogram,
    snapshots: IntCounterVec,
    responses: IntCounterVec,
    envoys: IntGaugeVec,
    problems: IntGaugeVec,
    not_accepted: IntGaugeVec,
    restarts: IntGaugeVec,
    objects_failed: IntGaugeVec,
    api_calls: IntCounterVec,
    status_writes: IntCounterVec,
    status_queue: IntGaugeVec,
    leader: IntGaugeVec,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Panics
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> Self {
        let times = |name| histograms(registry, name, doubling(0.000_1, 16)).with_label_values::<&str>(&[]);
        Self {
            known: Arc::default(),
            translate: times(Name::TranslateSeconds),
            lower: times(Name::LowerSeconds),
            snapshot: times(Name::SnapshotSeconds),
            acknowledged: times(Name::AcknowledgedSeconds),
            snapshots: counters(registry, Name::Snapshots),
            responses: counters(registry, Name::Responses),
            envoys: gauges(registry, Name::Envoys),
            problems: gauges(registry, Name::Problems),
            not_accepted: gauges(registry, Name::NotAccepted),
            restarts: gauges(registry, Name::Restarts),
            objects_failed: gauges(registry, Name::ObjectsFailed),
            api_calls: counters(registry, Name::ApiCalls),
            status_writes: counters(registry, Name::StatusWrites),
            status_queue: gauges(registry, Name::StatusQueue),
            leader: gauges(registry, Name::Leader),
        }
    }

    pub(crate) fn translated(&self, times: &Times) {
        self.translate.observe(times.translate.as_secs_f64());
        self.lower.observe(times.lower.as_secs_f64());
        self.snapshot.observe(times.snapshot.as_secs_f64());
    }

    pub(crate) fn acknowledged(&self, took: std::time::Duration) {
        self.acknowledged.observe(took.as_secs_f64());
    }

    /// A fleet has a configuration. Until then nothing is counted of it.
    pub(crate) fn snapshot(&self, fleet: &str) {
        self.known().insert(fleet.to_owned());
        self.snapshots.with_label_values(&[fleet]).inc();
    }

    /// A fleet is gone.
    pub(crate) fn forget(&self, fleet: &str) {
        let mut known = self.known();
        known.remove(fleet);
        // An error means that there was none.
        let _ = self.snapshots.remove_label_values(&[fleet]);
        let _ = self.restarts.remove_label_values(&[fleet]);
        for family in self.responses.collect() {
            for series in family.get_metric() {
                let labels = series.get_label().iter().map(|label| (label.name(), label.value()));
                let labels: HashMap<&str, &str> = labels.collect();
                if labels.get("fleet") == Some(&fleet) {
                    let _ = self.responses.remove(&labels);
                }
            }
        }
    }

    pub(crate) fn answered(&self, event: &xds::Event) {
        let outcome = match event.outcome {
            xds::Outcome::Acked => "ack",
            xds::Outcome::Nacked(_) => "nack",
        };
        let kind = event.type_url.rsplit('.').next().unwrap_or_default();
        let known = self.known();
        if known.contains(&*event.group) {
            self.responses.with_label_values(&[&event.group, kind, outcome]).inc();
        }
    }

    pub(crate) fn connected(&self, ledger: &xds::Ledger) {
        self.envoys.reset();
        for stream in ledger.streams() {
            self.envoys.with_label_values(&[&*stream.group]).inc();
        }
    }

    pub(crate) fn problems(&self, problems: &[Problem]) {
        for (severity, label) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
            let count = problems.iter().filter(|problem| problem.severity == severity).count();
            self.problems.with_label_values(&[label]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn not_accepted(&self, kinds: &BTreeMap<String, i64>) {
        self.not_accepted.reset();
        for (kind, count) in kinds {
            self.not_accepted.with_label_values(&[kind]).set(*count);
        }
    }

    pub(crate) fn api_call(&self, code: Option<u16>) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.api_calls.with_label_values(&[code.as_str()]).inc();
    }

    pub(crate) fn status_written(&self, kind: &str, outcome: &str) {
        self.status_writes.with_label_values(&[kind, outcome]).inc();
    }

    pub(crate) fn status_queue(&self, length: usize) {
        let none: [&str; 0] = [];
        self.status_queue.with_label_values(&none).set(i64::try_from(length).unwrap_or(i64::MAX));
    }

    pub(crate) fn leader(&self, leads: bool) {
        let none: [&str; 0] = [];
        self.leader.with_label_values(&none).set(leads.into());
    }

    pub(crate) fn restarts(&self, fleet: &str, restarts: u32) {
        let known = self.known();
        if known.contains(fleet) {
            self.restarts.with_label_values(&[fleet]).set(restarts.into());
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fleets(&self, states: &BTreeMap<Arc<str>, FleetState>) {
        self.objects_failed.reset();
        for (fleet, state) in states {
            self.objects_failed.with_label_values(&[&**fleet]).set(state.error.is_some().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_registered() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        metrics.translated(&Times::default());
        metrics.snapshot("default/eg");
        let failed = FleetState { error: Some("forbidden".to_owned()), ..FleetState::default() };
        metrics.fleets(&[("gone".into(), failed.clone())].into());
        metrics.fleets(&[("default/eg".into(), FleetState::default()), ("default/bad".into(), failed)].into());
        let told = registry.gather().into_iter().find(|family| family.name() == "portcullis_fleet_objects_failed");
        let told = told.expect("it is told");
        let told: Vec<_> = told.get_metric().iter().map(|one| one.get_gauge().get_value()).collect();
        assert_eq!(told, [1.0, 0.0], "the bad one comes first by name, and the one that is gone is not told");
        let families: Vec<_> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert!(families.contains(&"portcullis_snapshots_total".to_owned()), "{families:?}");
        let mut names: Vec<_> = Name::ALL.iter().map(|name| name.describe().0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Name::ALL.len());
    }

    #[test]
    fn a_fleet_that_is_gone_is_not_told_of_again() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        let answer = |fleet: &str, kind: &str, outcome| xds::Event {
            group: fleet.into(),
            stream: xds::StreamId(1),
            type_url: kind.into(),
            revision: 1,
            sent_at: std::time::Instant::now(),
            answered_at: std::time::Instant::now(),
            outcome,
        };
        let lives = |fleet: &str| {
            metrics.snapshot(fleet);
            metrics.answered(&answer(fleet, envoy::type_url::LISTENER, xds::Outcome::Acked));
            metrics.answered(&answer(fleet, envoy::type_url::ROUTE, xds::Outcome::Nacked("no".into())));
            metrics.restarts(fleet, 1);
        };
        let told_of = |fleet: &str| {
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            text.lines().filter(|line| line.contains(&format!("fleet=\"{fleet}\""))).count()
        };
        lives("default/stays");
        lives("default/gone");
        assert_eq!((told_of("default/stays"), told_of("default/gone")), (4, 4));
        metrics.forget("default/gone");
        assert_eq!((told_of("default/stays"), told_of("default/gone")), (4, 0));
        // Its Envoys end later.
        metrics.answered(&answer("default/gone", envoy::type_url::LISTENER, xds::Outcome::Acked));
        metrics.restarts("default/gone", 1);
        assert_eq!(told_of("default/gone"), 0);
        lives("default/gone");
        assert_eq!(told_of("default/gone"), 4, "one of the same name begins anew");
    }
}
