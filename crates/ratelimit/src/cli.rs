//! The command line: the service, and tools for those who write rules.

mod check;
mod explain;
mod replay;

use std::process::ExitCode;

use clap::Subcommand;

use crate::serve::serve;

const ABOUT: kit::About = kit::About {
    service: "ratelimit",
    version: env!("CARGO_PKG_VERSION"),
    what: "Global rate limit service for Envoy",
    examples: "\
Examples:
  portcullis-ratelimit --config-path ratelimit.yaml
  portcullis-ratelimit check rules/
  portcullis-ratelimit explain --domain edge --descriptor user=ann,path=/api rules/",
};

#[derive(Debug, Subcommand)]
enum Tool {
    Check(check::Args),
    Explain(explain::Args),
    Replay(replay::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    kit::run(&ABOUT, serve, |tool| match tool {
        Tool::Check(args) => check::run(&args),
        Tool::Explain(args) => explain::run(&args),
        Tool::Replay(args) => replay::run(&args),
    })
}
