//! The web application firewall: Envoy shows it requests and responses by `envoy.service.ext_proc.v3`, and it says which go on.
//!
//! ```text
//! grpc ─▶ session ─┬─▶ select: which profile, by route, host or metadata
//!                  ├─▶ inspect: the rules of that profile, on threads of their own (pool)
//!                  └─▶ reply: go on, or an answer; what to send next; metadata
//! profile: files ─▶ compiled rules, swapped while running     audit, metrics ◀─ what was found
//! ```
//!
//! Only `grpc` names tonic, and the engine is behind the crate `coraza`.

pub mod audit;
pub mod cli;
mod facts;
mod firewall;
mod grpc;
pub mod head;
mod heed;
mod http;
pub mod inspect;
pub mod metrics;
pub mod observe;
mod page;
mod pool;
pub mod profile;
mod select;
mod serve;
mod session;
pub mod settings;
pub mod verdict;
