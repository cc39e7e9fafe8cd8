//! The aggregated discovery server (ADS): how configuration reaches Envoy, and how Envoy's answers come back as data.
//!
//! ```text
//!  caller ── Snapshot (revision, resources by type) ──▶ Cache ── watch, by group ──▶ Session, one a stream ──▶ Envoy
//!                                                                                      │  ▲ requests, ACK, NACK
//!  caller ◀── Arc<Ledger>: who is connected, has acknowledged what, has rejected what ◀─┘
//! ```
//!
//! - A *resource* is opaque: type URL, name, bytes; its version is the hash of its bytes, so that a controller that
//!   restarts has nothing to send. Only a cluster is looked into, for the name of its endpoints.
//! - A [`Snapshot`] is everything that one *group* of Envoys (the fleet of one Gateway) shall have. It is immutable and
//!   shares what did not change with the one before.
//! - A [`session::Session`] is the protocol as a plain state machine, for the delta and the state-of-the-world form: no
//!   I/O, no clock of its own. [`grpc`] connects it to tonic and is the only module that names it.
//! - [`client`] is the other end, for services that are told by the controller what to do.
//! - The [`Ledger`] is a value on a watch channel; acknowledgements are also [`Event`]s, with their times.

mod cache;
pub mod client;
pub mod grpc;
mod ledger;
mod order;
mod peer;
mod resource;
pub mod session;
mod snapshot;

pub use cache::Cache;
pub use ledger::{Event, Ledger, LedgerBook, Outcome, Rejection, StreamId, StreamRecord, TypeRecord};
pub use peer::{Admission, Refusal, admit_by_cluster, admit_by_identity, admit_to};
pub use resource::{Name, Resource, Resources, Version};
pub use session::Protocol;
pub use snapshot::{Snapshot, SnapshotBuilder, TypeUrl};
