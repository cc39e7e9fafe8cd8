//! A metric with all its series: what is written for scrapers and pushed to a collector.

use std::borrow::Cow;
use std::sync::Arc;

use kit::metrics::{Described as _, Kind};
use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::histogram::Histogram;
use crate::labels;
use crate::metrics::Name;
use crate::traffic::{COUNTED, Traffic};

/// A metric, as it was at one moment.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: Cow<'static, str>,
    pub(crate) help: Cow<'static, str>,
    pub(crate) kind: Kind,
    /// Where the buckets of a histogram end.
    pub(crate) bounds: Vec<f64>,
    series: Series,
}

/// Series, each with its labels as Prometheus writes them.
#[derive(Debug)]
pub(crate) enum Series {
    Numbers(Vec<(Arc<str>, f64)>),
    Counts(Vec<(Arc<str>, u64)>),
    Histograms(Vec<(Arc<str>, Histogram)>),
}

/// The value of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Number(f64),
    Count(u64),
    Histogram(&'a Histogram),
}

/// All there is: of the registry, and of what Envoys did. A metric is read when it is asked for, so that no more than one is held.
pub(crate) fn all(registry: Vec<MetricFamily>, traffic: Arc<Traffic>) -> impl Iterator<Item = Family> + Send {
    let counted = COUNTED.iter().filter_map(move |name| traffic.family(*name));
    registry.into_iter().map(|family| Family::of_registry(&family)).chain(counted)
}

impl Family {
    /// A metric of the catalogue; nothing when it has no series.
    pub(crate) fn new(name: Name, bounds: &[f64], series: Series) -> Option<Self> {
        let (text, help, _) = name.describe();
        let family = Self { name: text.into(), help: help.into(), kind: name.kind(), bounds: bounds.to_vec(), series };
        family.get(0).is_some().then_some(family)
    }

    /// A metric of the registry.
    fn of_registry(family: &MetricFamily) -> Self {
        let (mut bounds, metrics) = (Vec::new(), family.get_metric());
        let numbers = |of: fn(&Metric) -> f64| {
            Series::Numbers(metrics.iter().map(|metric| (texts(metric), of(metric))).collect())
        };
        let (kind, series) = match family.get_field_type() {
            MetricType::COUNTER => (Kind::Counter, numbers(|metric| metric.get_counter().get_value())),
            MetricType::HISTOGRAM => {
                let read = |metric: &Metric| {
                    let histogram;
                    (histogram, bounds) = histogram_of_registry(metric.get_histogram());
                    (texts(metric), histogram)
                };
                (Kind::Histogram, Series::Histograms(metrics.iter().map(read).collect()))
            }
            _ => (Kind::Gauge, numbers(|metric| metric.get_gauge().get_value())),
        };
        let (name, help) = (family.name().to_owned().into(), family.help().to_owned().into());
        Self { name, help, kind, bounds, series }
    }

    /// The series of this number, from 0 on.
    pub(crate) fn get(&self, number: usize) -> Option<(&str, Value<'_>)> {
        match &self.series {
            Series::Numbers(all) => all.get(number).map(|(labels, value)| (&**labels, Value::Number(*value))),
            Series::Counts(all) => all.get(number).map(|(labels, count)| (&**labels, Value::Count(*count))),
            Series::Histograms(all) => all.get(number).map(|(labels, one)| (&**labels, Value::Histogram(one))),
        }
    }

    /// All of its series.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        (0..).map_while(|number| self.get(number))
    }
}

fn texts(metric: &Metric) -> Arc<str> {
    labels::text(metric.get_label().iter().map(|label| (label.name(), label.value()))).into()
}

fn histogram_of_registry(theirs: &prometheus::proto::Histogram) -> (Histogram, Vec<f64>) {
    let buckets = || theirs.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let mut below = 0;
    let mut classic: Vec<u64> = Vec::new();
    for count in buckets().map(|bucket| bucket.cumulative_count()).chain([theirs.get_sample_count()]) {
        classic.push(count.saturating_sub(below));
        below = count;
    }
    let (count, sum) = (theirs.get_sample_count(), theirs.get_sample_sum());
    (Histogram { classic, count, sum, ..Histogram::default() }, buckets().map(|bucket| bucket.upper_bound()).collect())
}
