//! The command line: the service, and tools for those who configure it.

mod check;
mod explain;

use std::process::ExitCode;

use clap::Subcommand;

use crate::serve::serve;

const ABOUT: kit::About = kit::About {
    service: "oidc",
    version: env!("CARGO_PKG_VERSION"),
    what: "Single sign-on for Envoy",
    examples: "\
Examples:
  portcullis-oidc --config-path oidc.yaml
  portcullis-oidc check oidc.yaml
  portcullis-oidc explain --profile web --path /admin --claims '{\"sub\": \"ann\", \"groups\": [\"ops\"]}' oidc.yaml",
};

#[derive(Debug, Subcommand)]
enum Tool {
    Check(check::Args),
    Explain(explain::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    kit::run(&ABOUT, serve, |tool| match tool {
        Tool::Check(args) => check::run(&args),
        Tool::Explain(args) => explain::run(&args),
    })
}
