//! `cargo xtask cluster-tests`: what takes minutes on a real cluster, one test after the other.

use anyhow::{Result, bail};
use testbed::cluster::{Cluster, check_root};

use crate::test::{Options, suite::count};
use crate::workspace::cargo;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask cluster-tests                    upgrades, restarts, outages, bad objects, strangers: some eight minutes
  cargo xtask cluster-tests --filter leader    only the tests with `leader` in their name";

/// Runs the tests with all that they say, and prints the numbers last.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Before minutes of building.
    check_root()?;
    Cluster::full().prepare()?;
    let mut command = cargo();
    let target = ["test", "--package", "controller", "--test", "cluster"];
    command.args(target).args(["--color", "never", "--profile", options.profile()]);
    // Each has a cluster of its own, and what it measures is measured alone.
    command.args(["--", "--test-threads=1", "--nocapture"]).args(options.filter.as_deref());
    let tally = count(command, |line, _| println!("{line}"))?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.broken { bail!("not everything holds") } else { Ok(()) }
}
