//! The Coraza web application firewall engine, from Rust.
//!
//! ```text
//! Source ─▶ Rules::compile ─▶ Rules ─▶ Rules::begin(Request) ─▶ Transaction ─▶ request_body ─▶ response ─▶ … ─▶ finish
//!                                                                     │ Step: goes on, decided, scores
//!                                                                     └ matches(): which rules, on what
//! ```
//!
//! The engine is written in Go. It is built as a C archive from `go/`, which holds our few functions around it, and is bound by
//! bindgen; `ffi` is the only module of the workspace with unsafe code. Everything here blocks and computes: call it where
//! that is allowed.
//!
//! Most rules look for what is not there. Before each phase Go collects what its rules read and asks `matcher`, which looks for all
//! their patterns at once; rules that cannot match are left out (`go/gate.go`).
//!
//! Rules read no files but those of their [`Source`] and the Core Rule Set that is compiled in.

mod error;
#[allow(unsafe_code, reason = "calls into Go; each call says why it is sound")]
mod ffi;
mod matcher;
mod matches;
mod message;
mod rules;
mod source;
mod transaction;
mod wire;

pub use error::{Broken, Problem};
pub use ffi::{Memory, adopt_signal_handlers, limit, memory, versions};
pub use matches::{Match, Place, Severity};
pub use message::{Request, Response};
pub use rules::Rules;
pub use source::Source;
pub use transaction::{Action, Interruption, Reads, Step, Transaction};
