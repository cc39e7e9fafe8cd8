//! The global rate limit service: Envoy asks for each request, by `envoy.service.ratelimit.v3`, whether it is within its limits.
//!
//! ```text
//! grpc ─▶ decide ─┬─▶ rules: descriptors ─▶ the rules that match, none of them replaced
//!                 ├─▶ key: what is counted, as one key for each
//!                 ├─▶ store: one call for all of them ─▶ how much of each was used
//!                 └─▶ respond: statuses, headers, metadata
//! ```
//!
//! Only `grpc` names tonic, and only `store::redis` names redis. What counts how is in [`algorithm`], in plain functions of
//! numbers and a clock that is handed in, so that the stores cannot differ.

pub mod algorithm;
pub mod cli;
mod clock;
pub mod decide;
mod grpc;
mod http;
pub mod key;
pub mod limit;
pub mod metrics;
pub mod respond;
pub mod rules;
mod serve;
pub mod settings;
mod statsd;
pub mod store;
