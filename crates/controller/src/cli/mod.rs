//! The command line.

mod certgen;
mod completion;
mod envoy;
mod manifests;
mod print;
mod server;
mod status;
mod translate;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Gateway API controller that configures Envoy.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  portcullis server --config-path examples/quickstart/standalone.yaml
  portcullis validate -f examples/quickstart/resources
  portcullis status httproutes";

#[derive(Debug, Subcommand)]
enum Command {
    Server(server::Args),
    Status(status::Args),
    Translate(translate::Args),
    Validate(validate::Args),
    Certgen(certgen::Args),
    Manifests(manifests::Args),
    /// What stands beside an Envoy in its pod.
    #[command(subcommand)]
    Envoy(envoy::Command),
    /// Prints the version.
    #[command(after_help = "Examples:\n  portcullis version")]
    Version,
    Completion(completion::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Server(args) => server::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Translate(args) => report(translate::run(&args)),
        Command::Validate(args) => report(validate::run(&args)),
        Command::Certgen(args) => report(certgen::run(&args)),
        Command::Manifests(args) => report(manifests::run(&args)),
        Command::Envoy(command) => report(envoy::run(&command)),
        Command::Completion(args) => {
            completion::print(&args, Cli::command());
            ExitCode::SUCCESS
        }
        Command::Version => {
            println!("portcullis {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

/// The exit code of a command that ran, or the reason why it could not.
fn report(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            // Whoever read our output has seen enough, as `head` does.
            return ExitCode::SUCCESS;
        }
        kit::report("portcullis", &*Box::<dyn std::error::Error + Send + Sync>::from(error))
    })
}
