//! The exporter: what an entry costs, memory and scrapes at 10,000 series. The figures come from a benchmark of its crate, so that
//! the developer commands build without the service.

use anyhow::{Context, Result, bail};
use testbed::progress;

use super::Measure;
use crate::workspace::cargo;

pub(super) fn run() -> Result<Vec<Measure>> {
    let output = progress::step("building (release) and measuring, about a minute", || {
        let mut bench = cargo();
        bench.args(["bench", "--quiet", "--package", "exporter", "--bench", "load"]);
        bench.stderr(std::process::Stdio::inherit()).output().context("cargo bench")
    })?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the benchmark printed something else")
}
