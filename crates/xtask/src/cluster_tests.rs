//! `cargo xtask cluster-tests`: what takes minutes on a real cluster, one test after the other.

use anyhow::{Result, bail};
use clap::Args;
use testbed::cluster::{Cluster, check_root};

use crate::test::suite::count;
use crate::workspace::{cargo, usual_profile};

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask cluster-tests                    upgrades, restarts, outages, bad objects, strangers: some eight minutes
  cargo xtask cluster-tests --filter leader    only the tests with `leader` in their name";

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Runs only the tests whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The cargo profile to build with [default: dev, or ci where CI=true].
    #[arg(long)]
    profile: Option<String>,
}

/// Runs the tests with all that they say, and prints the numbers last.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Before minutes of building.
    check_root()?;
    Cluster::full().prepare()?;
    let mut command = cargo();
    let profile = options.profile.as_deref().unwrap_or_else(|| usual_profile());
    command.args(["test", "--package", "controller", "--test", "cluster", "--color", "never", "--profile", profile]);
    // Each has a cluster of its own, and what it measures is measured alone.
    command.args(["--", "--test-threads=1", "--nocapture"]).args(&options.filter);
    let tally = count(command, |line, _| println!("{line}"))?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.broken { bail!("not everything holds") } else { Ok(()) }
}
