//! `cargo xtask fuzz`: what strangers reach in single sign-on, under libFuzzer.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask fuzz                          each target for a minute
  cargo xtask fuzz tokens --seconds 3600    one of them for an hour";

/// The targets in `crates/oidc/fuzz`.
const TARGETS: [&str; 3] = ["cookies", "tokens", "check_requests"];

/// What to fuzz, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this target; all unless given.
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How many seconds each.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Runs them one after the other; the first input that breaks something ends it, and is said.
pub(crate) fn run(options: &Options) -> Result<()> {
    if testbed::tools::on_path("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz");
    }
    let directory = workspace::root().join("crates/oidc/fuzz");
    // It is a workspace of its own, with the same versions.
    fs::copy(workspace::root().join("Cargo.lock"), directory.join("Cargo.lock")).context("Cargo.lock")?;
    let wanted = |target: &&str| options.target.as_deref().is_none_or(|only| only == *target);
    TARGETS.into_iter().filter(wanted).try_for_each(|target| fuzz(&directory, target, options.seconds))
}

fn fuzz(directory: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = directory.join("corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
    let mut command = workspace::cargo();
    // What is fuzzed has no `unsafe`, so that a sanitizer would only cost time, and nightly Rust.
    command.current_dir(directory).args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]);
    command.arg(workspace::target()?.join("fuzz")).arg(target);
    // What is found goes into the first.
    command.arg(corpus).arg(directory.join("seeds").join(target)).arg("--");
    // Whatever takes so long costs more than it should.
    let bounds = ["-max_len=16384", "-timeout=5", "-dict=words", "-print_final_stats=1"];
    command.arg(format!("-max_total_time={seconds}")).args(bounds);
    if command.status().context("cargo fuzz")?.success() { Ok(()) } else { bail!("{target}: see above") }
}
