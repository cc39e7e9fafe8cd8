//! The command line: the service, and tools for those who write rules.

mod check;
mod explain;
mod tune;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::serve::serve;

/// Web application firewall for Envoy.
#[derive(Debug, Parser)]
#[command(name = "portcullis-waf", version, max_term_width = 110, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    flags: kit::Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  portcullis-waf --config-path waf.yaml
  portcullis-waf check profiles/
  portcullis-waf explain --profile baseline --request request.txt
  portcullis-waf tune --audit audit.log";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Explain(explain::Args),
    Tune(tune::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => kit::run_with_flags("waf", env!("CARGO_PKG_VERSION"), cli.flags, serve),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Tune(args)) => tune::run(&args),
    }
}
