//! The observability exporter: Envoys send an entry of each request, by `envoy.service.accesslog.v3`.
//!
//! ```text
//! grpc ─▶ ingest ─┬─▶ entry: what an entry says, read in place
//!                 ├─▶ traffic: counters and histograms by route ─▶ expose, push: metrics
//!                 │            └─ budgets: what routes promise, and what is left ─▶ live
//!                 ├─▶ top: who comes most
//!                 └─▶ events: what was refused, as JSON lines   ─▶ http: the live page
//! ```
//!
//! Only `grpc` names tonic, only `http` axum. What is done for an entry costs no allocation unless it is the first of its kind.

mod book;
mod budgets;
pub mod cli;
mod entry;
mod events;
mod expose;
mod facts;
mod family;
mod flags;
mod grpc;
mod histogram;
mod http;
mod ingest;
mod labels;
mod live;
mod loss;
pub mod metrics;
mod push;
mod reason;
mod serve;
pub mod settings;
pub mod slo;
#[cfg(test)]
mod testing;
mod top;
mod traffic;
mod wire;
