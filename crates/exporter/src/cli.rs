//! The command line: the service, and a tool for those who set objectives.

mod slo;

use std::process::ExitCode;

use clap::Subcommand;

use crate::serve::serve;

const ABOUT: kit::About = kit::About {
    service: "exporter",
    version: env!("CARGO_PKG_VERSION"),
    what: "Metrics, security events and a live page from Envoy's access logs",
    examples: "\
Examples:
  portcullis-exporter --config-path exporter.yaml
  portcullis-exporter slo routes/ > rules.yaml
  portcullis-exporter slo --format pyrra routes/cart.yaml | kubectl apply -f -",
};

#[derive(Debug, Subcommand)]
enum Tool {
    /// Prints rules for Prometheus from the objectives of routes (annotation portcullis.dev/slo).
    Slo(slo::Args),
}

/// Runs the command line of this process. Exit codes: 0 all is well, 1 something was found or failed, 2 a wrong
/// configuration or command line.
pub fn main() -> ExitCode {
    kit::run(&ABOUT, serve, |tool| match tool {
        Tool::Slo(args) => slo::run(&args),
    })
}
