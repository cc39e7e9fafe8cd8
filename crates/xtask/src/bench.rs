//! `cargo xtask bench`: figures, each with what it is compared to.

mod core;
mod floor;
mod kubernetes;
mod machine;
mod report;
mod services;

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

pub(crate) use report::Measure;
use testbed::progress;

use crate::workspace::{self, cargo};

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask bench floor --json floor.json
  cargo xtask bench core
  cargo xtask bench kubernetes                   some fifteen minutes, with Envoy Gateway beside it
  cargo xtask bench kubernetes --peer none --routes 1000 --seconds 10
  cargo xtask bench ratelimit \"10 descriptors\" \"64 connections\" fixed
  cargo xtask bench oidc Redis
  cargo xtask bench oidc --dist                  what is packaged";

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Envoy with a static configuration: start, and one connection's requests with and without it.
    Floor,
    /// The controller: routes from nothing, one changed route until Envoy serves it, memory, cost of a long route list.
    Core,
    /// The controller in a real cluster, with Envoy Gateway beside it: propagation, disturbance, memory, churn.
    Kubernetes(kubernetes::Options),
    /// The rate limit service with the reference beside it on one Redis: time, processor time, peak; memory of a million keys.
    Ratelimit(Cases),
    /// The single sign-on service: time and processor time of checks, by where the session is; memory of 100,000 sessions.
    Oidc(Cases),
    /// The firewall behind Envoy, with plain Coraza and ModSecurity beside it and the same rules: time, processor time, memory.
    Waf(Cases),
    /// The exporter: time of an entry, memory and scrapes with a thousand routes of ten statuses each.
    Exporter,
}

/// Which cases of a benchmark are measured.
#[derive(Debug, Default, Args)]
pub(crate) struct Cases {
    /// Only cases whose name has all of these words, such as "10 descriptors" fixed
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Built as it is packaged, with link-time optimization: the first build takes ten minutes more
    #[arg(long)]
    dist: bool,
}

/// Runs one benchmark and prints its table.
pub(crate) fn run(bench: &Bench, json: Option<&Path>) -> Result<()> {
    if cfg!(debug_assertions) {
        return again_in_release();
    }
    println!("{}\n", machine::describe());
    let measures = match bench {
        Bench::Floor => floor::run()?,
        Bench::Core => core::run()?,
        Bench::Kubernetes(options) => kubernetes::run(options)?,
        Bench::Ratelimit(cases) => services::ratelimit(cases)?,
        Bench::Oidc(cases) => services::oidc(cases)?,
        Bench::Waf(cases) => services::waf(cases)?,
        Bench::Exporter => services::exporter()?,
    };
    print!("{}", report::table(&measures));
    println!("\nload average at the end: {}", machine::load());
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&measures)?).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Figures of a debug build mean nothing: runs this command once more, built as users get it.
fn again_in_release() -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "xtask", "--manifest-path"]);
    command.arg(workspace::root().join("Cargo.toml")).arg("--").args(std::env::args_os().skip(1));
    // Files are named from here.
    command.current_dir(std::env::current_dir()?);
    let status = progress::step("building (release) and measuring", || command.status().context("cargo run"))?;
    if status.success() { Ok(()) } else { bail!("the benchmark failed") }
}
