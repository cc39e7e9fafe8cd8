//! Metrics by the catalogue of a service: an enum whose values say what they are.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// What kind of metric one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Has `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A metric of a catalogue. All that are made of one here panic when it is of another kind, or the registry has it already.
pub trait Described: Copy {
    /// The name, what it says, and its labels.
    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]);

    /// Whether it is a histogram: names do not say it.
    fn is_histogram(self) -> bool;

    /// What kind of metric it is: the name of a counter, and of nothing else, ends with `_total`.
    fn kind(self) -> Kind {
        if self.is_histogram() {
            Kind::Histogram
        } else if self.describe().0.ends_with("_total") {
            Kind::Counter
        } else {
            Kind::Gauge
        }
    }
}

/// What a metric of this kind says of itself.
fn of_kind(metric: impl Described, kind: Kind) -> (&'static str, &'static str, &'static [&'static str]) {
    let described = metric.describe();
    assert_eq!(metric.kind(), kind, "{}", described.0);
    described
}

/// A counter without labels.
pub fn counter(registry: &Registry, metric: impl Described) -> IntCounter {
    let (name, help, _) = of_kind(metric, Kind::Counter);
    registered(registry, IntCounter::new(name, help))
}

/// Counters by labels.
pub fn counters(registry: &Registry, metric: impl Described) -> IntCounterVec {
    let (name, help, labels) = of_kind(metric, Kind::Counter);
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

/// A gauge without labels.
pub fn gauge(registry: &Registry, metric: impl Described) -> IntGauge {
    let (name, help, _) = of_kind(metric, Kind::Gauge);
    registered(registry, IntGauge::new(name, help))
}

/// Gauges by labels.
pub fn gauges(registry: &Registry, metric: impl Described) -> IntGaugeVec {
    let (name, help, labels) = of_kind(metric, Kind::Gauge);
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

/// Histograms by labels. A bucket ends at each of these bounds.
pub fn histograms(registry: &Registry, metric: impl Described, bounds: Vec<f64>) -> HistogramVec {
    let (name, help, labels) = of_kind(metric, Kind::Histogram);
    registered(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds), labels))
}

/// So many bounds, each twice the one before.
pub fn doubling(first: f64, count: usize) -> Vec<f64> {
    prometheus::exponential_buckets(first, 2.0, count).expect("the bounds are positive")
}

pub(super) fn registered<M: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("the name is valid");
    registry.register(Box::new(metric.clone())).expect("every name is registered once");
    metric
}
