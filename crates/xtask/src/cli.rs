//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{bench, cluster, cluster_tests, conformance, crs, demo, fuzz, generate, rooms, test, waf};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer commands", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  cargo xtask demo                     a real Envoy serves the quickstart until Ctrl-C
  cargo xtask test                     everything that must hold before a change goes in
  cargo xtask test --filter redirect   only the tests with `redirect` in their name
  cargo xtask cluster up               a real Kubernetes of one node, until `cluster down`
  cargo xtask gen                      write the generated files anew";

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds everything and serves the quickstart through a real Envoy, until Ctrl-C.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Options),
    /// Checks format, walls, generated files, lints, docs, all tests and the demo.
    #[command(after_help = test::EXAMPLES)]
    Test(test::Options),
    /// Checks which crate depends on which (crates/rooms.toml).
    Rooms,
    /// Writes the generated files.
    #[command(
        after_help = "Examples:\n  cargo xtask gen\n  cargo xtask gen --check   only says which files are out of date"
    )]
    Gen {
        /// Writes nothing; fails if a file is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Takes the pictures of the live page that the guides show.
    #[command(after_help = demo::pictures::EXAMPLES)]
    Pictures(demo::pictures::Options),
    /// Measures.
    #[command(after_help = bench::EXAMPLES)]
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
        /// Writes the figures to this file, too.
        #[arg(long, value_name = "FILE", global = true)]
        json: Option<PathBuf>,
    },
    /// A real Kubernetes of one node on this machine.
    #[command(after_help = cluster::EXAMPLES)]
    Cluster {
        #[command(subcommand)]
        command: cluster::Command,
    },
    /// Runs the long tests of the controller on a real cluster, under load.
    #[command(after_help = cluster_tests::EXAMPLES)]
    ClusterTests(test::Options),
    /// Runs the official conformance tests of the Gateway API against the controller in a real cluster.
    #[command(after_help = conformance::EXAMPLES)]
    Conformance(conformance::Options),
    /// Runs the regression tests of the OWASP Core Rule Set through a real Envoy and the firewall.
    #[command(after_help = crs::EXAMPLES)]
    Crs(crs::Options),
    /// Looks at the firewall beside plain Coraza, under the dearest requests, and with those of honest people.
    #[command(after_help = waf::EXAMPLES)]
    Waf {
        #[command(subcommand)]
        look: waf::Look,
        /// The cargo profile to build with.
        #[arg(long, value_name = "PROFILE", global = true)]
        profile: Option<String>,
    },
    /// Fuzzes what strangers reach in single sign-on: cookies, tokens, and what Envoy says of requests.
    #[command(after_help = fuzz::EXAMPLES)]
    Fuzz(fuzz::Options),
    /// Fetches the outside tools that are not there yet, and prints where each one is.
    Tools,
}

/// Runs what the command line asks for.
pub(crate) fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Rooms => rooms::run(),
        Command::Gen { check } => generate::run(check),
        Command::Pictures(options) => demo::pictures::run(&options),
        Command::Bench { bench, json } => bench::run(&bench, json.as_deref()),
        Command::Cluster { command } => cluster::run(&command),
        Command::ClusterTests(options) => cluster_tests::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Crs(options) => crs::run(&options),
        Command::Waf { look, profile } => waf::run(&look, profile.as_deref()),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Tools => tools(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tools() -> Result<()> {
    println!("envoy         {}", testbed::tools::envoy()?.display());
    println!("redis-server  {}", testbed::tools::redis()?.display());
    println!("prometheus    {}", testbed::tools::prometheus()?.display());
    println!("go            {}", testbed::tools::go()?.display());
    println!("libclang      {}", testbed::tools::libclang()?.display());
    Ok(())
}
