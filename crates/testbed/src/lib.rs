//! Starts the real things that tests need, and stops them.
//!
//! ```text
//!   client ──▶ envoy::Envoy (the pinned binary, from tools) ──▶ echo::Echo
//!                    └── process::Process: killed when dropped, and when the test dies
//! ```
//!
//! Every server binds port 0 and is asked for its address; nothing sleeps, everything waits for a condition with a deadline
//! ([`wait`]). No other room may be needed here: a test of any room can use this one.

pub mod binary;
pub mod calls;
pub mod chromium;
pub mod client;
pub mod cluster;
pub mod echo;
pub mod envoy;
pub mod front;
pub mod idp;
pub mod load;
pub mod otel;
pub mod pki;
pub mod planted;
pub mod proc;
pub mod process;
pub mod progress;
pub mod prometheus;
pub mod redis;
pub mod service;
pub mod times;
pub mod tools;
pub mod wait;

/// How long a test waits for something that should take well under a second, before it calls it broken.
///
/// Generous, because test machines are small and busy; a passing test never waits for it.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
