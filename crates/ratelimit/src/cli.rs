//! The command line.

use std::process::ExitCode;

use crate::serve::serve;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    kit::run("ratelimit", env!("CARGO_PKG_VERSION"), serve)
}
