//! What resources mean, in tests from the specification's sentences.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod attachment;
mod common;
mod incremental;
mod listeners;
mod policies;
mod references;
