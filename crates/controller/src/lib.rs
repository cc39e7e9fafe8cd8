//! The controller: everything that touches the world. Sources, status, infrastructure and the command line; no semantics.
//!
//! ```text
//! source ─▶ engine (pipeline, nack, programmed, status) ─▶ xds server · infra · admin page
//! ```
//!
//! [`server`] puts the parts together, [`offline`] uses the pipeline without them, [`cli`] is the way in.

pub mod admin;
pub mod admission;
pub mod api_server;
pub mod authority;
pub mod cli;
pub mod conditions;
pub mod config;
pub mod engine;
pub mod infra;
pub mod install;
pub mod kept_certs;
mod latency;
pub mod leader;
pub mod local_http;
pub mod metrics;
pub mod missing;
pub mod nack;
mod not_accepted;
pub mod offline;
pub mod origin;
pub mod pipeline;
pub mod pod;
pub mod programmed;
pub mod server;
pub mod services;
pub mod source;
pub mod status;
pub mod status_writer;
pub mod xds_server;
