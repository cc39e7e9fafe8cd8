//! Metrics in the form that a scraper asks for: plain text, OpenMetrics with exemplars, or protobuf with native histograms.

mod proto;
mod text;

use kit::metrics::{Described as _, Exposition, Kind};
use prometheus::proto::{MetricFamily, MetricType};

use crate::histogram::Histogram;
use crate::labels;
use crate::metrics::Name;
use crate::traffic::{Bounds, RouteTotals, Snapshot};

/// What is written to.
trait Form {
    /// Begins a metric.
    fn family(&mut self, name: &str, help: &str, kind: Kind);
    /// A counter or a gauge.
    fn number(&mut self, labels: &str, value: f64);
    /// The same, of a whole number.
    fn count(&mut self, labels: &str, value: u64);
    /// A histogram.
    fn histogram(&mut self, labels: &str, histogram: &Histogram, bounds: &[f64]);
    /// All of it.
    fn finish(self: Box<Self>) -> Vec<u8>;
}

/// Everything there is, in the best form that the header `accept` allows.
pub(crate) fn write(registry: &[MetricFamily], traffic: &Snapshot, bounds: &Bounds, accept: &str) -> Exposition {
    let (content_type, mut form): (_, Box<dyn Form>) = if accept.contains(proto::ASKED) {
        (proto::TYPE, Box::default() as Box<proto::Protobuf>)
    } else if accept.contains(text::OPEN_METRICS_ASKED) {
        (text::OPEN_METRICS, Box::new(text::Text::open_metrics()))
    } else {
        (kit::metrics::TEXT, Box::new(text::Text::plain()))
    };
    registry.iter().for_each(|family| write_family(&mut *form, family));
    write_traffic(&mut *form, traffic, bounds);
    Exposition { content_type, body: form.finish() }
}

fn write_traffic(form: &mut dyn Form, traffic: &Snapshot, bounds: &Bounds) {
    counts(form, Name::Requests, traffic.requests.iter().map(|(text, _, count)| (&**text, *count)));
    counts(form, Name::LocalReplies, traffic.replies.iter().map(|(text, _, count)| (&**text, *count)));
    counts(form, Name::Connections, traffic.connections.iter().map(|(text, count)| (&**text, *count)));
    let of_routes =
        |of: fn(&RouteTotals) -> u64| traffic.routes.iter().map(move |(text, route)| (&**text, of(&route.totals)));
    counts(form, Name::ReceivedBytes, of_routes(|totals| totals.received));
    counts(form, Name::SentBytes, of_routes(|totals| totals.sent));
    let mut of_routes = |name: Name, of: fn(&RouteTotals) -> &Histogram, bounds: &[f64]| {
        let all = traffic.routes.iter().map(|(text, route)| (&**text, of(&route.totals)));
        histograms(form, name, all, bounds);
    };
    of_routes(Name::RequestSeconds, |totals| &totals.whole, &bounds.seconds);
    of_routes(Name::UpstreamSeconds, |totals| &totals.upstream, &bounds.seconds);
    of_routes(Name::FilterSeconds, |totals| &totals.filters, &bounds.seconds);
    of_routes(Name::RequestBytes, |totals| &totals.request_bytes, &bounds.bytes);
    of_routes(Name::ResponseBytes, |totals| &totals.response_bytes, &bounds.bytes);
    let listeners = traffic.listeners.iter().map(|(text, histogram)| (&**text, histogram));
    histograms(form, Name::ConnectionSeconds, listeners, &bounds.seconds);
}

fn counts<'a>(form: &mut dyn Form, name: Name, all: impl Iterator<Item = (&'a str, u64)>) {
    let mut all = all.peekable();
    if all.peek().is_some() {
        let (text, help, _) = name.describe();
        form.family(text, help, Kind::Counter);
        all.for_each(|(labels, count)| form.count(labels, count));
    }
}

/// Routes of which nothing was measured are left out.
fn histograms<'a>(
    form: &mut dyn Form,
    name: Name,
    all: impl Iterator<Item = (&'a str, &'a Histogram)>,
    bounds: &[f64],
) {
    let mut all = all.filter(|(_, histogram)| histogram.count > 0).peekable();
    if all.peek().is_some() {
        let (text, help, _) = name.describe();
        form.family(text, help, Kind::Histogram);
        all.for_each(|(labels, histogram)| form.histogram(labels, histogram, bounds));
    }
}

/// A metric of the registry.
fn write_family(form: &mut dyn Form, family: &MetricFamily) {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::HISTOGRAM => Kind::Histogram,
        _ => Kind::Gauge,
    };
    form.family(family.name(), family.help(), kind);
    for metric in family.get_metric() {
        let labels = labels::text(metric.get_label().iter().map(|label| (label.name(), label.value())));
        match kind {
            Kind::Counter => form.number(&labels, metric.get_counter().get_value()),
            Kind::Gauge => form.number(&labels, metric.get_gauge().get_value()),
            Kind::Histogram => {
                let (histogram, bounds) = from_registry(metric.get_histogram());
                form.histogram(&labels, &histogram, &bounds);
            }
        }
    }
}

fn from_registry(theirs: &prometheus::proto::Histogram) -> (Histogram, Vec<f64>) {
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

#[cfg(test)]
mod tests;
