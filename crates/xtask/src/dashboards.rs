//! `dashboards/`: what the program `portcullis-dashboards` prints. It's asked of the program, so that these commands need not be
//! built with all services.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{build, engine_tools, usual_profile};

/// The files, by their paths.
pub(crate) fn files() -> Result<Vec<(String, String)>> {
    // The firewall's catalogue comes with the firewall, and that with its engine.
    engine_tools()?;
    let binaries = build(usual_profile(), &["dashboards"], &["portcullis-dashboards"])?;
    let program = binaries.first().context("one program was asked for")?;
    let output = Command::new(program).output().with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let files: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).context("portcullis-dashboards")?;
    Ok(files.into_iter().collect())
}
