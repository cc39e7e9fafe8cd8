//! The text forms: Prometheus' 0.0.4 and OpenMetrics 1.0, which has exemplars.

use std::fmt::Display;
use std::io::Write as _;

use kit::metrics::Kind;

use super::Form;
use crate::family::{Family, Value};
use crate::histogram::{Exemplar, Histogram};

/// The content type of OpenMetrics.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How a scraper asks for it.
pub(super) const OPEN_METRICS_ASKED: &str = "application/openmetrics-text";

/// Lines of text.
#[derive(Debug, Default)]
pub(super) struct Text {
    open: bool,
    name: String,
    /// The ends of the buckets, written out, the last one too.
    ends: Vec<String>,
}

impl Text {
    pub(super) fn plain() -> Self {
        Self::default()
    }

    pub(super) fn open_metrics() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// What stands before a value.
    fn name(&self, suffix: &str, labels: &str, more: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        if !(labels.is_empty() && more.is_empty()) {
            out.push(b'{');
            out.extend_from_slice(labels.as_bytes());
            if !(labels.is_empty() || more.is_empty()) {
                out.push(b',');
            }
            out.extend_from_slice(more.as_bytes());
            out.push(b'}');
        }
        out.push(b' ');
    }

    fn line(&self, suffix: &str, labels: &str, value: impl Display, out: &mut Vec<u8>) {
        self.name(suffix, labels, "", out);
        // Writing to memory does not fail.
        let _ = writeln!(out, "{value}");
    }

    fn histogram(&self, labels: &str, histogram: &Histogram, out: &mut Vec<u8>) {
        let mut below = 0;
        for (place, end) in self.ends.iter().enumerate() {
            below += histogram.classic.get(place).copied().unwrap_or_default();
            self.name("_bucket", labels, end, out);
            let _ = write!(out, "{below}");
            let exemplar = histogram.exemplars.get(place).copied().flatten();
            if let Some(Exemplar { trace, value, time }) = exemplar.filter(|_| self.open) {
                let _ = write!(out, " # {{trace_id=\"{trace:032x}\"}} {value} {time:.3}");
            }
            out.push(b'\n');
        }
        self.line("_sum", labels, histogram.sum, out);
        self.line("_count", labels, histogram.count, out);
    }
}

impl Form for Text {
    fn begin(&mut self, family: &Family, out: &mut Vec<u8>) {
        let Family { name, help, kind, bounds, .. } = family;
        let kind_name = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        name.as_ref().clone_into(&mut self.name);
        // A whole number has its point everywhere, so that the label is the same in all forms.
        let ends = bounds.iter().map(|bound| format!("le=\"{bound:?}\""));
        self.ends = ends.chain(["le=\"+Inf\"".to_owned()]).collect();
        // In OpenMetrics `_total` belongs to the sample, not to the metric.
        let family = if self.open && *kind == Kind::Counter { name.trim_end_matches("_total") } else { name };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(out, "# HELP {family} {help}\n# TYPE {family} {kind_name}\n");
    }

    fn series(&mut self, labels: &str, value: Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::Number(number) => self.line("", labels, number, out),
            Value::Count(count) => self.line("", labels, count, out),
            Value::Histogram(histogram) => self.histogram(labels, histogram, out),
        }
    }

    fn end(&self) -> &'static [u8] {
        if self.open { b"# EOF\n" } else { b"" }
    }
}
