//! What dashboards ask for, in programs that really run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edge;
mod names;
