//! Metrics in the form that a scraper asks for: plain text, OpenMetrics with exemplars, or protobuf with native histograms.
//!
//! ```text
//! a metric, as it is now ─▶ its series, one by one ─▶ a part of the answer ─▶ sent before the next one is written
//! ```
//!
//! All series of a metric are of the same moment. Metrics are as far apart as the time that the scraper takes to read.

mod proto;
mod text;

use std::sync::Arc;

use kit::metrics::Exposition;
use prometheus::proto::MetricFamily;

use crate::family::{self, Family, Value};
use crate::traffic::Traffic;

/// A part is sent once it has so many bytes.
const PART: usize = 64 << 10;
/// Room for the series that makes it full.
const ROOM: usize = 8 << 10;

/// How metrics are written.
trait Form: Send {
    /// Begins a metric.
    fn begin(&mut self, family: &Family, out: &mut Vec<u8>);
    /// Writes one of its series.
    fn series(&mut self, labels: &str, value: Value<'_>, out: &mut Vec<u8>);
    /// What stands at the end of all.
    fn end(&self) -> &'static [u8];
}

/// Everything there is, in the best form that the header `accept` allows.
pub(crate) fn scrape(registry: Vec<MetricFamily>, traffic: Arc<Traffic>, accept: &str) -> Exposition {
    let (content_type, form): (_, Box<dyn Form>) = if accept.contains(proto::ASKED) {
        (proto::TYPE, Box::<proto::Protobuf>::default())
    } else if accept.contains(text::OPEN_METRICS_ASKED) {
        (text::OPEN_METRICS, Box::new(text::Text::open_metrics()))
    } else {
        (kit::metrics::TEXT, Box::new(text::Text::plain()))
    };
    let families = Box::new(family::all(registry, traffic));
    Exposition { content_type, parts: Box::new(Parts { families, current: None, form, ended: false }) }
}

/// What is still to be written.
struct Parts {
    families: Box<dyn Iterator<Item = Family> + Send>,
    /// The metric that is being written, and the number of its next series.
    current: Option<(Family, usize)>,
    form: Box<dyn Form>,
    ended: bool,
}

impl Iterator for Parts {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut part = Vec::with_capacity(if self.ended { 0 } else { PART + ROOM });
        while part.len() < PART && self.step(&mut part) {}
        (!part.is_empty()).then_some(part)
    }
}

impl Parts {
    /// Writes one more thing; false when there is none.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some((family, next)) = &mut self.current
            && let Some((labels, value)) = family.get(*next)
        {
            *next += 1;
            self.form.series(labels, value, out);
        } else if let Some(family) = self.families.next() {
            self.form.begin(&family, out);
            self.current = Some((family, 0));
        } else {
            self.current = None;
            out.extend_from_slice(if self.ended { b"" } else { self.form.end() });
            return !std::mem::replace(&mut self.ended, true);
        }
        true
    }
}

#[cfg(test)]
mod tests;
