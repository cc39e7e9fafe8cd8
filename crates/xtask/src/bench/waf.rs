//! The firewall beside plain Coraza and ModSecurity. The figures come from a benchmark of its crate, so that the developer commands
//! build without the service.

use anyhow::{Context, Result, bail};
use testbed::{progress, tools};

use super::Measure;
use crate::workspace::{self, cargo};

pub(super) fn run() -> Result<Vec<Measure>> {
    // Built before anything is measured.
    workspace::engine_tools()?;
    tools::plain_coraza()?;
    tools::nginx()?;
    let output = progress::step("building (release) and measuring, about ten minutes", || {
        let mut bench = cargo();
        bench.args(["bench", "--quiet", "--package", "waf", "--bench", "load"]);
        bench.stderr(std::process::Stdio::inherit()).output().context("cargo bench")
    })?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the benchmark printed something else")
}
