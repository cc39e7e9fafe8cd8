//! The rate limit service beside the reference. The figures come from a benchmark of its crate, so that the developer commands
//! build without the service.

use anyhow::{Context, Result, bail};
use testbed::{progress, tools};

use super::Measure;
use crate::workspace::cargo;

pub(super) fn run() -> Result<Vec<Measure>> {
    // Built before anything is measured.
    tools::ratelimit()?;
    tools::redis()?;
    let output = progress::step("building (release) and measuring, about six minutes", || {
        let mut bench = cargo();
        bench.args(["bench", "--quiet", "--package", "ratelimit", "--bench", "load"]);
        bench.stderr(std::process::Stdio::inherit()).output().context("cargo bench")
    })?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the benchmark printed something else")
}
