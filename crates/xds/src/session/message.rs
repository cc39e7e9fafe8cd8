//! What goes over a stream, without the wire's form.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::ledger::Outcome;
use crate::resource::{Name, Resource};
use crate::snapshot::TypeUrl;

/// The two forms of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Only what changed is sent (`DELTA_GRPC`).
    Delta,
    /// Clusters and listeners are sent as a whole, others by name (`GRPC`).
    Sotw,
}

/// A client's request: an answer to the last response, a change of what it wants, or both.
#[derive(Debug, Clone)]
pub struct Request {
    /// The type it is about.
    pub type_url: TypeUrl,
    /// The nonce of the response that is answered; empty when none is.
    pub nonce: String,
    /// Why that response is rejected.
    pub error: Option<String>,
    /// What the client wants.
    pub names: Names,
}

/// What a request says of the resources wanted.
#[derive(Debug, Clone)]
pub enum Names {
    /// State of the world: the complete list.
    Sotw(Vec<String>),
    /// Delta: changes to the list.
    Delta {
        /// Names from now on wanted; `*` stands for all.
        subscribe: Vec<String>,
        /// Names no longer wanted.
        unsubscribe: Vec<String>,
        /// What the client has from a stream before this one: name and version.
        initial: Vec<(String, String)>,
    },
}

/// A response to send.
#[derive(Debug, Clone)]
pub struct Response {
    /// The type it is of.
    pub type_url: TypeUrl,
    /// What the client answers with; unique on the stream.
    pub nonce: Arc<str>,
    /// The snapshot's revision.
    pub revision: u64,
    /// New and changed resources; for a type that goes as a whole, all of them.
    pub resources: Vec<(Name, Arc<Resource>)>,
    /// Resources that are gone; in delta only.
    pub removed: Vec<Name>,
}

/// A response was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The type of the response.
    pub type_url: TypeUrl,
    /// The revision that it was of.
    pub revision: u64,
    /// When it was made.
    pub sent_at: Instant,
    /// How it was answered.
    pub outcome: Outcome,
}

/// The time, as the session is told it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For spans.
    pub instant: Instant,
    /// For people.
    pub wall: SystemTime,
}

impl Moment {
    /// The present.
    pub fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}
