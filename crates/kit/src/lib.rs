//! What every service shares: configuration files, telemetry, health, admin, TLS and an orderly end.
//!
//! ```text
//! fn main() -> ExitCode { kit::run(&ABOUT, serve, use_tool) }
//!
//! flags + YAML ─▶ telemetry ─▶ admin port ─▶ serve(Kit, Reloading<Config>) ─▶ signal or failure ─▶ drain ─▶ exit code
//! ```
//!
//! Nothing here is global but the log subscriber: a [`Kit`] is handed down instead.

pub mod admin;
mod cli;
pub mod config;
pub mod deadline;
pub mod drain;
pub mod duration;
pub mod grpc;
pub mod health;
pub mod http_client;
pub mod incoming;
pub mod journal;
mod kit;
pub mod lanes;
pub mod metrics;
pub mod net;
pub mod otlp;
pub mod pauses;
pub mod ports;
pub mod redact;
#[cfg(feature = "redis")]
pub mod redis;
pub mod reload;
mod run;
pub mod serve;
pub mod signal;
pub mod tasks;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod top;
pub mod trace;
pub mod watch;

pub use cli::{About, NoTool, run};
pub use kit::Kit;
pub use run::{ADMIN, BAD_CONFIG, Common, Config, Flags, launch, report, supervise};
