//! The protobuf form (`io.prometheus.client.MetricFamily`, each with its length before it): the only one that native histograms
//! have. Written byte by byte, for there is nothing to be gained by owned messages of it.

use kit::metrics::Kind;

use super::Form;
use crate::histogram::{Exemplar, Histogram, SCHEMA, ZERO};
use crate::labels::pairs;

/// The content type.
pub(super) const TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
/// How a scraper asks for it.
pub(super) const ASKED: &str = "application/vnd.google.protobuf";

/// Messages that are written.
#[derive(Debug, Default)]
pub(super) struct Protobuf {
    all: Vec<u8>,
    family: Vec<u8>,
    kind: Option<Kind>,
    /// Used again for each metric.
    metric: Message,
    inner: Message,
    part: Message,
    pair: Message,
}

#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or_default());
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    /// `sint32` and `sint64`: small negative numbers are short.
    fn signed(&mut self, field: u64, value: i64) {
        self.number(field, (value << 1 ^ value >> 63).cast_unsigned());
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(u64::try_from(value.len()).unwrap_or_default());
        self.0.extend_from_slice(value);
    }
}

impl Protobuf {
    /// Ends a metric with this value in this field, and begins anew.
    fn metric(&mut self, labels: &str, field: u64) {
        self.metric.0.clear();
        for (name, value) in pairs(labels) {
            self.pair.0.clear();
            self.pair.bytes(1, name.as_bytes());
            self.pair.bytes(2, value.as_bytes());
            self.metric.bytes(1, &self.pair.0);
        }
        self.metric.bytes(field, &self.inner.0);
        let mut family = Message(std::mem::take(&mut self.family));
        family.bytes(4, &self.metric.0);
        self.family = family.0;
    }

    fn end_family(&mut self) {
        if self.kind.take().is_some() {
            let mut all = Message(std::mem::take(&mut self.all));
            all.varint(u64::try_from(self.family.len()).unwrap_or_default());
            all.0.append(&mut self.family);
            self.all = all.0;
        }
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let mut message = Message::default();
        self.pair.0.clear();
        self.pair.bytes(1, b"trace_id");
        self.pair.bytes(2, &exemplar.trace);
        message.bytes(1, &self.pair.0);
        message.double(2, exemplar.value);
        let mut time = Message::default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since 1970")]
        let (seconds, nanos) = (exemplar.time as u64, (exemplar.time.fract() * 1e9) as u64);
        time.number(1, seconds);
        time.number(2, nanos);
        message.bytes(3, &time.0);
        self.part.bytes(3, &message.0);
    }

    fn classic(&mut self, histogram: &Histogram, bounds: &[f64]) {
        let mut below = 0;
        for (place, bound) in bounds.iter().chain(&[f64::INFINITY]).enumerate() {
            below += histogram.classic.get(place).copied().unwrap_or_default();
            self.part.0.clear();
            self.part.number(1, below);
            self.part.double(2, *bound);
            if let Some(exemplar) = histogram.exemplars.get(place).copied().flatten() {
                self.exemplar(&exemplar);
            }
            self.inner.bytes(3, &self.part.0);
        }
    }

    /// Buckets one behind the other are a span; counts are told by their difference to the one before.
    fn native(&mut self, histogram: &Histogram) {
        self.inner.signed(5, SCHEMA.into());
        self.inner.double(6, ZERO);
        self.inner.number(7, histogram.zero);
        let mut end: Option<i32> = None;
        for run in histogram.native.chunk_by(|one, next| one.0 + 1 == next.0) {
            let Some(first) = run.first().map(|(index, _)| i32::from(*index)) else { continue };
            self.part.0.clear();
            self.part.signed(1, (first - end.unwrap_or_default()).into());
            self.part.number(2, u64::try_from(run.len()).unwrap_or_default());
            self.inner.bytes(12, &self.part.0);
            end = Some(first + i32::try_from(run.len()).unwrap_or_default());
        }
        let mut before = 0_i64;
        for (_, count) in &histogram.native {
            let count = count.cast_signed();
            self.inner.signed(13, count - before);
            before = count;
        }
    }
}

impl Form for Protobuf {
    fn family(&mut self, name: &str, help: &str, kind: Kind) {
        self.end_family();
        let mut family = Message::default();
        family.bytes(1, name.as_bytes());
        family.bytes(2, help.as_bytes());
        let number = match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        };
        family.number(3, number);
        (self.family, self.kind) = (family.0, Some(kind));
    }

    fn number(&mut self, labels: &str, value: f64) {
        self.inner.0.clear();
        self.inner.double(1, value);
        let field = if self.kind == Some(Kind::Gauge) { 2 } else { 3 };
        self.metric(labels, field);
    }

    fn count(&mut self, labels: &str, value: u64) {
        #[allow(clippy::cast_precision_loss, reason = "the form has no whole numbers")]
        self.number(labels, value as f64);
    }

    fn histogram(&mut self, labels: &str, histogram: &Histogram, bounds: &[f64]) {
        self.inner.0.clear();
        self.inner.number(1, histogram.count);
        self.inner.double(2, histogram.sum);
        self.classic(histogram, bounds);
        if histogram.zero > 0 || !histogram.native.is_empty() {
            self.native(histogram);
        }
        self.metric(labels, 7);
    }

    fn finish(mut self: Box<Self>) -> Vec<u8> {
        self.end_family();
        self.all
    }
}
