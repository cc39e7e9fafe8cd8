//! The command line: the service, and tools for those who configure it.

mod check;
mod explain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::serve::serve;

/// Single sign-on for Envoy.
#[derive(Debug, Parser)]
#[command(name = "portcullis-oidc", version, max_term_width = 110, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    flags: kit::Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  portcullis-oidc --config-path oidc.yaml
  portcullis-oidc check oidc.yaml
  portcullis-oidc explain --profile web --path /admin --claims '{\"sub\": \"ann\", \"groups\": [\"ops\"]}' oidc.yaml";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Explain(explain::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => kit::run_with_flags("oidc", env!("CARGO_PKG_VERSION"), cli.flags, serve),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
    }
}
