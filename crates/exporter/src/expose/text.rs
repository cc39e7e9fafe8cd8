//! The text forms: Prometheus' 0.0.4 and OpenMetrics 1.0, which has exemplars.

use std::fmt::Write as _;

use kit::metrics::Kind;

use super::Form;
use crate::histogram::{Exemplar, Histogram};

/// The content type of OpenMetrics.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How a scraper asks for it.
pub(super) const OPEN_METRICS_ASKED: &str = "application/openmetrics-text";

/// Lines of text.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    open: bool,
    name: String,
    /// The ends of the buckets, written out, and what they were written from.
    ends: (Vec<f64>, Vec<String>),
}

impl Text {
    pub(super) fn plain() -> Self {
        Self::default()
    }

    pub(super) fn open_metrics() -> Self {
        Self { open: true, ..Self::default() }
    }

    fn series(&mut self, suffix: &str, labels: &str, more: &str) {
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        if !(labels.is_empty() && more.is_empty()) {
            self.text.push('{');
            self.text.push_str(labels);
            if !(labels.is_empty() || more.is_empty()) {
                self.text.push(',');
            }
            self.text.push_str(more);
            self.text.push('}');
        }
        self.text.push(' ');
    }

    fn line(&mut self, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{value}");
    }

    fn bucket(&mut self, labels: &str, end: &str, count: u64, exemplar: Option<&Exemplar>) {
        self.series("_bucket", labels, end);
        let _ = write!(self.text, "{count}");
        if let Some(Exemplar { trace, value, time }) = exemplar.filter(|_| self.open) {
            let trace = String::from_utf8_lossy(trace);
            let _ = write!(self.text, " # {{trace_id=\"{trace}\"}} {value} {time:.3}");
        }
        self.text.push('\n');
    }
}

impl Form for Text {
    fn family(&mut self, name: &str, help: &str, kind: Kind) {
        let kind_name = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        name.clone_into(&mut self.name);
        // In OpenMetrics `_total` belongs to the sample, not to the metric.
        let family = if self.open && kind == Kind::Counter { name.trim_end_matches("_total") } else { name };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind_name}\n");
    }

    fn number(&mut self, labels: &str, value: f64) {
        self.series("", labels, "");
        self.line(value);
    }

    fn count(&mut self, labels: &str, value: u64) {
        self.series("", labels, "");
        self.line(value);
    }

    fn histogram(&mut self, labels: &str, histogram: &Histogram, bounds: &[f64]) {
        if self.ends.0 != bounds {
            // A whole number has its point everywhere, so that the label is the same in all forms.
            self.ends = (bounds.to_vec(), bounds.iter().map(|bound| format!("le=\"{bound:?}\"")).collect());
        }
        let ends = std::mem::take(&mut self.ends);
        let mut below = 0;
        let all = ends.1.iter().map(String::as_str).chain(["le=\"+Inf\""]);
        for (place, end) in all.enumerate() {
            below += histogram.classic.get(place).copied().unwrap_or_default();
            self.bucket(labels, end, below, histogram.exemplars.get(place).and_then(Option::as_ref));
        }
        self.ends = ends;
        self.series("_sum", labels, "");
        self.line(histogram.sum);
        self.series("_count", labels, "");
        self.line(histogram.count);
    }

    fn finish(mut self: Box<Self>) -> Vec<u8> {
        if self.open {
            self.text.push_str("# EOF\n");
        }
        self.text.into_bytes()
    }
}
