//! From the bytes of a message to what is counted and told.

use std::sync::Arc;
use std::time::SystemTime;

use envoy::Message as _;
use envoy::service::accesslog::stream_access_logs_message::Identifier;

use crate::entry::{Common, Connection, Moment, Request};
use crate::events::Events;
use crate::facts::Facts;
use crate::metrics::Metrics;
use crate::traffic::{Counting, Origin, Traffic};
use crate::wire::{Fields, Malformed};

/// An entry that is larger tells of somebody who wants to fill memory, and is not looked at.
const LARGEST: usize = 1 << 20;

/// Where entries go.
#[derive(Debug)]
pub(crate) struct Ingest {
    traffic: Arc<Traffic>,
    metrics: Arc<Metrics>,
    events: Events,
    counts: Counts,
}

/// Looked up once: a look-up for each entry would cost more than the entry.
#[derive(Debug)]
struct Counts {
    requests: prometheus::IntCounter,
    connections: prometheus::IntCounter,
    tries: prometheus::IntCounter,
    interim: prometheus::IntCounter,
    malformed: prometheus::IntCounter,
    too_large: prometheus::IntCounter,
}

/// What is known of a stream: its first message says who sends it.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    origin: Option<Origin>,
}

impl Ingest {
    pub(crate) fn new(traffic: Arc<Traffic>, metrics: Arc<Metrics>, events: Events) -> Self {
        let entries = |kind: &str| metrics.entries.with_label_values(&[kind]);
        let dropped = |reason: &str| metrics.dropped.with_label_values(&[reason]);
        let counts = Counts {
            requests: entries("request"),
            connections: entries("connection"),
            tries: entries("try"),
            interim: entries("interim"),
            malformed: dropped("malformed"),
            too_large: dropped("too_large"),
        };
        Self { traffic, metrics, events, counts }
    }

    /// A stream has begun.
    pub(crate) fn begin(&self) -> Stream {
        self.metrics.streams.inc();
        Stream::default()
    }

    /// A stream has ended.
    pub(crate) fn end(&self) {
        self.metrics.streams.dec();
    }

    /// A message was larger than is taken: its entries are lost.
    pub(crate) fn too_large(&self) {
        self.counts.too_large.inc();
    }

    /// Takes a `StreamAccessLogsMessage`. What is broken in it is counted, and harms nothing else.
    pub(crate) fn message(&self, stream: &mut Stream, message: &[u8]) {
        if self.read(stream, message).is_err() {
            self.counts.malformed.inc();
        }
    }

    fn read(&self, stream: &mut Stream, message: &[u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => stream.origin = Some(self.identify(value.bytes())?),
                2 => self.entries(stream, value.bytes(), Self::request)?,
                3 => self.entries(stream, value.bytes(), Self::connection)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn identify(&self, message: &[u8]) -> Result<Origin, Malformed> {
        let Identifier { node, log_name } = Identifier::decode(message).map_err(|_| Malformed)?;
        Ok(self.traffic.origin(&log_name, &node.unwrap_or_default().cluster))
    }

    /// All entries of a message are counted under one lock.
    fn entries(
        &self,
        stream: &mut Stream,
        list: &[u8],
        take: fn(&Self, &mut Counting<'_>, &[u8], u64) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let origin = &*stream.origin.get_or_insert_with(|| self.traffic.origin("", ""));
        let now = now();
        let mut counting = self.traffic.count(origin);
        let mut fields = Fields::new(list);
        while let Some((number, value)) = fields.next()? {
            let entry = value.bytes();
            if number != 1 {
                continue;
            }
            if entry.len() > LARGEST {
                self.counts.too_large.inc();
            } else if take(self, &mut counting, entry, now).is_err() {
                self.counts.malformed.inc();
            }
        }
        Ok(())
    }

    fn request(&self, counting: &mut Counting<'_>, entry: &[u8], now: u64) -> Result<(), Malformed> {
        let request = Request::read(entry)?;
        if !self.is_last(&request.common) {
            return Ok(());
        }
        self.counts.requests.inc();
        let reason = counting.request(&request);
        let facts = Facts::read(request.common.metadata);
        let top = counting.top();
        top.request(&request, reason.is_some(), now);
        if let Some(user) = facts.subject {
            top.user(user, now);
        }
        facts.rules().for_each(|rule| top.rule(&rule, now));
        self.events.tell(&request, reason, &facts, counting.gateway(), now);
        Ok(())
    }

    fn connection(&self, counting: &mut Counting<'_>, entry: &[u8], _: u64) -> Result<(), Malformed> {
        let connection = Connection::read(entry)?;
        if self.is_last(&connection.common) {
            self.counts.connections.inc();
            counting.connection(&connection);
        }
        Ok(())
    }

    /// Whether an entry is the last of its request: what comes before it would be counted twice.
    fn is_last(&self, common: &Common<'_>) -> bool {
        match common.moment {
            Moment::End => return true,
            Moment::Try => self.counts.tries.inc(),
            Moment::Interim => self.counts.interim.inc(),
        }
        false
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
