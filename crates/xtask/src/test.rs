//! `cargo xtask test`: everything that must hold, one line a step, a summary at the end.

mod steps;
pub(crate) mod suite;
mod tally;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::usual_profile;
use tally::Tally;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask test
  cargo xtask test --filter redirect   only the tests with `redirect` in their name, no other checks
  cargo xtask test --profile ci        as continuous integration does (CI=true says the same)";

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Runs only the tests whose name contains this, and no other checks.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// The cargo profile to build with [default: dev, or ci where CI=true].
    #[arg(long)]
    profile: Option<String>,
}

impl Options {
    pub(crate) fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or(usual_profile())
    }
}

/// Runs all steps, also after one that failed, and prints the summary last.
pub(crate) fn run(options: &Options) -> Result<()> {
    let profile = options.profile();
    let mut failed = Vec::new();
    let mut tally = Tally::default();
    if options.filter.is_none() {
        steps::before_tests(profile)
            .iter()
            .filter(|step| !timed(step.name, &step.work))
            .for_each(|step| failed.push(step.name));
    }
    let suite = || {
        tally = suite::run(profile, options.filter.as_deref())?;
        if tally.broken { bail!("cargo test failed") } else { Ok(()) }
    };
    if !timed("tests", suite) {
        // Failed tests are counted themselves; a suite that did not build is one failure.
        failed.extend((tally.failed == 0).then_some("tests"));
    }
    if options.filter.is_none() {
        steps::after_tests(profile)
            .iter()
            .filter(|step| !timed(step.name, &step.work))
            .for_each(|step| failed.push(step.name));
    }
    if !failed.is_empty() {
        println!("failed checks: {}", failed.join(", "));
    }
    let failures = tally.failed + failed.len();
    println!("{} passed, {failures} failed", tally.passed);
    if failures > 0 { bail!("not everything holds") } else { Ok(()) }
}

/// Runs one step, with a line that says how it went.
fn timed(name: &str, work: impl FnOnce() -> Result<()>) -> bool {
    println!("▸ {name} …");
    let start = Instant::now();
    let outcome = work();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => println!("✓ {name} ({seconds:.1} s)"),
        Err(ref error) => println!("{error:#}\n✗ {name} ({seconds:.1} s)"),
    }
    outcome.is_ok()
}
