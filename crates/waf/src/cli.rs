//! The command line: the service, and tools for those who write rules.

mod check;
mod explain;
mod tune;

use std::process::ExitCode;

use clap::Subcommand;

use crate::serve::serve;

const ABOUT: kit::About = kit::About {
    service: "waf",
    version: env!("CARGO_PKG_VERSION"),
    what: "Web application firewall for Envoy",
    examples: "\
Examples:
  portcullis-waf --config-path waf.yaml
  portcullis-waf check profiles/
  portcullis-waf explain --profile baseline --request request.txt
  portcullis-waf tune --audit audit.log",
};

#[derive(Debug, Subcommand)]
enum Tool {
    Check(check::Args),
    Explain(explain::Args),
    Tune(tune::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    kit::run(&ABOUT, serve, |tool| match tool {
        Tool::Check(args) => check::run(&args),
        Tool::Explain(args) => explain::run(&args),
        Tool::Tune(args) => tune::run(&args),
    })
}
