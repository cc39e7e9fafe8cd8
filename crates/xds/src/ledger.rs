//! What every connected Envoy was sent, has acknowledged and has rejected: a value, renewed with each change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use envoy::type_url;
use tokio::sync::{broadcast, watch};

use crate::resource::{Name, Version};
use crate::session::Protocol;
use crate::snapshot::TypeUrl;

/// Numbers streams in the order in which they were opened, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// A resource version that an Envoy does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The version rejected. It is not sent again on this stream.
    pub version: Version,
    /// The revision it came with.
    pub revision: u64,
    /// Envoy's words.
    pub message: Arc<str>,
    /// When it was rejected.
    pub at: SystemTime,
}

/// One type on one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeRecord {
    /// Whether the client wants all resources of the type.
    pub wildcard: bool,
    /// How many names it asked for beside.
    pub names: usize,
    /// How many resources it has, as far as it has told.
    pub resources: usize,
    /// The last response: its nonce.
    pub sent_nonce: Option<Arc<str>>,
    /// The last response that was acknowledged: its nonce.
    pub acked_nonce: Option<Arc<str>>,
    /// The highest revision of which the client has everything of this type, none of it rejected.
    pub acked: Option<u64>,
    /// The highest revision of which the client has taken or rejected everything of this type.
    pub answered: Option<u64>,
    /// What the client rejects at present, by resource.
    pub rejected: BTreeMap<Name, Rejection>,
    /// What was said the last time the client rejected anything, when.
    pub last_nack: Option<(Arc<str>, SystemTime)>,
}

/// One connected Envoy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// The stream's number.
    pub id: StreamId,
    /// The node's id, as it says.
    pub node_id: String,
    /// Its group.
    pub group: Arc<str>,
    /// Delta or state of the world.
    pub protocol: Protocol,
    /// Since when.
    pub connected_since: SystemTime,
    /// What was asked for, by type.
    pub types: BTreeMap<TypeUrl, TypeRecord>,
    /// The highest revision of which the client has all listeners and routes.
    pub acked: Option<u64>,
}

/// All connected Envoys.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    streams: BTreeMap<StreamId, Arc<StreamRecord>>,
}

impl Ledger {
    /// All streams, the oldest first.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<StreamRecord>> {
        self.streams.values()
    }

    /// The streams of a group, the oldest first.
    pub fn group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Arc<StreamRecord>> {
        self.streams.values().filter(move |stream| &*stream.group == group)
    }

    /// The highest revision of which *every* connected Envoy of the group has acknowledged all listeners and routes;
    /// `None` while there is none, or one of them has not got that far with any revision.
    pub fn acked(&self, group: &str) -> Option<u64> {
        // `None` sorts below every revision, as it should: one Envoy without holds the group back.
        self.group(group).map(|stream| stream.acked).min().flatten()
    }

    /// The highest revision of which every connected Envoy of the group has taken or rejected all clusters, listeners and
    /// routes, but for routes that only a rejected listener would ask for.
    pub fn answered(&self, group: &str) -> Option<u64> {
        let of_type = |stream: &StreamRecord, url: &str| stream.types.get(url).and_then(|record| record.answered);
        let all = JUDGED.into_iter().chain([type_url::CLUSTER]);
        self.group(group).flat_map(|stream| all.clone().map(move |url| of_type(stream, url))).min().flatten()
    }

    /// What Envoys of the group reject at present: type, resource and why, once for each Envoy that rejects it.
    pub fn rejections<'a>(
        &'a self,
        group: &'a str,
    ) -> impl Iterator<Item = (&'a TypeUrl, &'a Name, &'a Rejection)> + 'a {
        self.group(group)
            .flat_map(|stream| &stream.types)
            .flat_map(|(url, record)| record.rejected.iter().map(move |(name, rejection)| (url, name, rejection)))
    }
}

impl FromIterator<StreamRecord> for Ledger {
    fn from_iter<T: IntoIterator<Item = StreamRecord>>(records: T) -> Self {
        Self { streams: records.into_iter().map(|record| (record.id, Arc::new(record))).collect() }
    }
}

/// How a response was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Taken.
    Acked,
    /// Rejected, with these words.
    Nacked(Arc<str>),
}

/// A response was answered.
#[derive(Debug, Clone)]
pub struct Event {
    /// The group of the client.
    pub group: Arc<str>,
    /// The stream.
    pub stream: StreamId,
    /// The type of the response.
    pub type_url: TypeUrl,
    /// The revision that the response was of.
    pub revision: u64,
    /// When it was handed to the transport.
    pub sent_at: Instant,
    /// When the answer was read.
    pub answered_at: Instant,
    /// What the answer was.
    pub outcome: Outcome,
}

/// How many events a reader may lag behind before it misses some: enough for a burst, small enough to forget.
const EVENTS: usize = 1024;

/// Keeps the ledger and publishes it. Cheap to clone; all clones are one book.
#[derive(Debug, Clone)]
pub struct LedgerBook {
    ledger: watch::Sender<Arc<Ledger>>,
    events: broadcast::Sender<Event>,
    last_id: Arc<AtomicU64>,
}

impl Default for LedgerBook {
    fn default() -> Self {
        Self {
            ledger: watch::Sender::new(Arc::default()),
            events: broadcast::Sender::new(EVENTS),
            last_id: Arc::default(),
        }
    }
}

impl LedgerBook {
    /// The ledger, now and with each change.
    pub fn watch(&self) -> watch::Receiver<Arc<Ledger>> {
        self.ledger.subscribe()
    }

    /// Every answer from now on. A reader that lags far behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn open(&self) -> StreamId {
        StreamId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Writes a stream's record; says nothing to anybody when it is the one that is there.
    pub(crate) fn write(&self, record: StreamRecord) {
        self.ledger.send_if_modified(|ledger| {
            if ledger.streams.get(&record.id).is_some_and(|known| **known == record) {
                return false;
            }
            // Copies the map (of pointers) only while a reader holds the last one.
            Arc::make_mut(ledger).streams.insert(record.id, Arc::new(record));
            true
        });
    }

    pub(crate) fn close(&self, id: StreamId) {
        self.ledger.send_if_modified(|ledger| Arc::make_mut(ledger).streams.remove(&id).is_some());
    }

    pub(crate) fn announce(&self, event: Event) {
        // Nobody listening is no error.
        let _ = self.events.send(event);
    }
}

/// What a client is judged by.
const JUDGED: [&str; 3] = [type_url::LISTENER, type_url::SCOPED_ROUTE, type_url::ROUTE];

/// The highest revision of which all listeners and routes are acknowledged.
pub(crate) fn acked_in_all(types: &BTreeMap<TypeUrl, TypeRecord>) -> Option<u64> {
    JUDGED.iter().map(|url| types.get(*url).and_then(|record| record.acked)).min().flatten()
}

#[cfg(test)]
mod tests;
