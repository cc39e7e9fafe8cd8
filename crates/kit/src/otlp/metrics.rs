//! Metrics: sums from a beginning on, as scrapers have them.

use std::num::NonZeroU128;
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as Example, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, metric, number_data_point,
};

use super::{Refused, Sender, nanos, pair, partly, refused};
use crate::metrics::Kind;

/// Metrics that are sent at once.
#[derive(Debug)]
pub struct Metrics {
    since: u64,
    now: u64,
    all: Vec<Metric>,
    points: usize,
}

/// The value of a histogram.
#[derive(Debug)]
pub struct Buckets<'a> {
    /// Where buckets end; the last one has no end.
    pub bounds: &'a [f64],
    /// How many are in each.
    pub counts: &'a [u64],
    /// How many there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Requests that stand for a bucket.
    pub exemplars: Vec<Exemplar>,
}

/// A request that stands for its bucket.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar {
    /// Its trace.
    pub trace: NonZeroU128,
    /// Its value.
    pub value: f64,
    /// When it was.
    pub time: SystemTime,
}

impl Metrics {
    /// None yet. All of them count since that time.
    pub fn since(start: SystemTime) -> Self {
        Self { since: nanos(start), now: 0, all: Vec::new(), points: 0 }
    }

    /// Begins a metric, as it is now.
    pub fn begin(&mut self, name: &str, help: &str, kind: Kind, now: SystemTime) {
        self.now = nanos(now);
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let data = match kind {
            Kind::Counter => {
                metric::Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality, is_monotonic: true })
            }
            Kind::Gauge => metric::Data::Gauge(Gauge::default()),
            Kind::Histogram => metric::Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality }),
        };
        let (name, description) = (name.to_owned(), help.to_owned());
        self.all.push(Metric { name, description, data: Some(data), ..Metric::default() });
    }

    /// How many values there are.
    pub fn points(&self) -> usize {
        self.points
    }

    /// A value of the metric that was begun last, which is no histogram.
    pub fn number(&mut self, labels: impl Iterator<Item = (impl AsRef<str>, impl Into<String>)>, value: f64) {
        self.add_number(attributes(labels), number_data_point::Value::AsDouble(value));
    }

    /// The same, of a whole number.
    pub fn count(&mut self, labels: impl Iterator<Item = (impl AsRef<str>, impl Into<String>)>, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.add_number(attributes(labels), number_data_point::Value::AsInt(count));
    }

    fn add_number(&mut self, attributes: Vec<KeyValue>, value: number_data_point::Value) {
        let point = NumberDataPoint {
            attributes,
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        };
        match self.all.last_mut().and_then(|metric| metric.data.as_mut()) {
            Some(metric::Data::Sum(sum)) => sum.data_points.push(point),
            Some(metric::Data::Gauge(gauge)) => gauge.data_points.push(point),
            _ => return,
        }
        self.points += 1;
    }

    /// A histogram of the metric that was begun last, which is one.
    pub fn histogram(
        &mut self,
        labels: impl Iterator<Item = (impl AsRef<str>, impl Into<String>)>,
        buckets: &Buckets<'_>,
    ) {
        let point = HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            count: buckets.count,
            sum: Some(buckets.sum),
            bucket_counts: buckets.counts.to_vec(),
            explicit_bounds: buckets.bounds.to_vec(),
            exemplars: buckets.exemplars.iter().map(Exemplar::encode).collect(),
            ..HistogramDataPoint::default()
        };
        if let Some(metric::Data::Histogram(histogram)) = self.all.last_mut().and_then(|metric| metric.data.as_mut()) {
            histogram.data_points.push(point);
            self.points += 1;
        }
    }
}

impl Exemplar {
    fn encode(&self) -> Example {
        Example {
            time_unix_nano: nanos(self.time),
            trace_id: self.trace.get().to_be_bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(self.value)),
            ..Example::default()
        }
    }
}

fn attributes(labels: impl Iterator<Item = (impl AsRef<str>, impl Into<String>)>) -> Vec<KeyValue> {
    labels.map(|(name, value)| pair(name.as_ref(), Any::StringValue(value.into()))).collect()
}

impl Sender {
    /// Sends these metrics.
    pub async fn send_metrics(&self, metrics: Metrics) -> Result<(), Refused> {
        let scope_metrics =
            ScopeMetrics { scope: Some(self.scope.clone()), metrics: metrics.all, ..ScopeMetrics::default() };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        let request = self.request(ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] });
        let answer = MetricsServiceClient::new(self.channel.clone()).export(request).await;
        match answer.map_err(|status| refused(&status))?.into_inner().partial_success {
            Some(part) => partly(part.rejected_data_points, part.error_message),
            None => Ok(()),
        }
    }
}
