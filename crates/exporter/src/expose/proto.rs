//! The protobuf form (`io.prometheus.client.MetricFamily`, each with its length before it): the only one that native histograms
//! have. Written byte by byte, for there is nothing to be gained by owned messages of it.
//!
//! The length of a metric has to be known before its first series is sent, and a metric may be larger than what is to be held.
//! So each series is encoded twice: once to know how long it is, once to be sent.

use kit::metrics::Kind;

use super::Form;
use crate::family::{Family, Value};
use crate::histogram::{Exemplar, Histogram, SCHEMA, ZERO};
use crate::labels::pairs;

/// The content type.
pub(super) const TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
/// How a scraper asks for it.
pub(super) const ASKED: &str = "application/vnd.google.protobuf";

/// The field of a family in which its metrics are.
const METRIC: u64 = 4;

/// What is written now, and room that is used again for each series.
#[derive(Debug, Default)]
pub(super) struct Protobuf {
    /// The field of a metric in which its value is.
    value: u64,
    bounds: Vec<f64>,
    metric: Message,
    inner: Message,
    part: Message,
    pair: Message,
}

#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, value: u64) {
        varint(&mut self.0, value);
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
        bytes(&mut self.0, field, value);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, length(value.len()));
    out.extend_from_slice(value);
}

/// How long a field of so many bytes is.
fn field_length(field: u64, bytes: usize) -> u64 {
    let varint = |value: u64| u64::from(value.max(1).ilog2() / 7 + 1);
    let bytes = length(bytes);
    varint(field << 3) + varint(bytes) + bytes
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or_default()
}

impl Protobuf {
    /// Encodes a series as a metric.
    fn encode(&mut self, labels: &str, value: Value<'_>) {
        self.inner.0.clear();
        match value {
            Value::Number(number) => self.inner.double(1, number),
            #[allow(clippy::cast_precision_loss, reason = "the form has no whole numbers")]
            Value::Count(count) => self.inner.double(1, count as f64),
            Value::Histogram(histogram) => self.histogram(histogram),
        }
        self.metric.0.clear();
        for (name, value) in pairs(labels) {
            self.pair.0.clear();
            self.pair.bytes(1, name.as_bytes());
            self.pair.bytes(2, value.as_bytes());
            self.metric.bytes(1, &self.pair.0);
        }
        self.metric.bytes(self.value, &self.inner.0);
    }

    fn histogram(&mut self, histogram: &Histogram) {
        self.inner.number(1, histogram.count);
        self.inner.double(2, histogram.sum);
        self.classic(histogram);
        if histogram.zero > 0 || !histogram.native.is_empty() {
            self.native(histogram);
        }
    }

    fn classic(&mut self, histogram: &Histogram) {
        let mut below = 0;
        for place in 0..=self.bounds.len() {
            below += histogram.classic.get(place).copied().unwrap_or_default();
            self.part.0.clear();
            self.part.number(1, below);
            self.part.double(2, self.bounds.get(place).copied().unwrap_or(f64::INFINITY));
            if let Some(exemplar) = histogram.exemplars.get(place).copied().flatten() {
                self.exemplar(&exemplar);
            }
            self.inner.bytes(3, &self.part.0);
        }
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let mut message = Message::default();
        self.pair.0.clear();
        self.pair.bytes(1, b"trace_id");
        self.pair.bytes(2, format!("{:032x}", exemplar.trace).as_bytes());
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
            self.part.number(2, length(run.len()));
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
    fn begin(&mut self, family: &Family, out: &mut Vec<u8>) {
        let Family { name, help, kind, bounds, .. } = family;
        let number;
        (number, self.value) = match kind {
            Kind::Counter => (0, 3),
            Kind::Gauge => (1, 2),
            Kind::Histogram => (4, 7),
        };
        self.bounds.clone_from(bounds);
        let mut all = 0;
        for (labels, value) in family.iter() {
            self.encode(labels, value);
            all += field_length(METRIC, self.metric.0.len());
        }
        let mut head = Message::default();
        head.bytes(1, name.as_bytes());
        head.bytes(2, help.as_bytes());
        head.number(3, number);
        varint(out, length(head.0.len()) + all);
        out.append(&mut head.0);
    }

    fn series(&mut self, labels: &str, value: Value<'_>, out: &mut Vec<u8>) {
        self.encode(labels, value);
        bytes(out, METRIC, &self.metric.0);
    }

    fn end(&self) -> &'static [u8] {
        b""
    }
}
