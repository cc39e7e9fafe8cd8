//! The services that Envoy calls. Their figures come from benchmarks of their crates, so that the developer commands build without
//! them. What has to be fetched and built beside is there before anything is measured.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use testbed::{progress, tools};

use super::{Cases, Measure};
use crate::workspace::{self, cargo};

/// Beside the reference, on one Redis.
pub(super) fn ratelimit(cases: &Cases) -> Result<Vec<Measure>> {
    tools::ratelimit()?;
    tools::redis()?;
    measure("ratelimit", "about nine minutes", cases)
}

/// Checks by where the session is.
pub(super) fn oidc(cases: &Cases) -> Result<Vec<Measure>> {
    tools::redis()?;
    measure("oidc", "about a minute", cases)
}

/// Beside plain Coraza and ModSecurity.
pub(super) fn waf(cases: &Cases) -> Result<Vec<Measure>> {
    workspace::engine_tools()?;
    tools::plain_coraza()?;
    tools::nginx()?;
    measure("waf", "about ten minutes", cases)
}

/// What an entry costs, memory and scrapes at 10,000 series.
pub(super) fn exporter() -> Result<Vec<Measure>> {
    measure("exporter", "about a minute", &Cases::default())
}

fn measure(package: &str, takes: &str, cases: &Cases) -> Result<Vec<Measure>> {
    let profile = if cases.dist { "dist" } else { "release" };
    let output = progress::step(&format!("building ({profile}) and measuring, {takes}"), || {
        let mut bench = cargo();
        bench.args(["bench", "--quiet", "--profile", profile, "--package", package, "--bench", "load", "--"]);
        bench.args(&cases.words);
        bench.stderr(Stdio::inherit()).output().context("cargo bench")
    })?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the benchmark printed something else")
}
