//! Packages for Node, installed into the cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cache;
use super::versions::Npm;

/// The directory `node_modules` with a package and what it needs.
pub(super) fn modules(npm: &Npm) -> Result<PathBuf> {
    let name = format!("{}-{}", npm.package, npm.version);
    let entry = cache::entry(&name, |dir| {
        let output = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--ignore-scripts",
                "--silent",
                "--prefix",
            ])
            .arg(dir)
            .arg(format!("{}@{}", npm.package, npm.version))
            .output()
            .context("`npm` is needed: install Node")?;
        ensure!(output.status.success(), "npm install: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    })?;
    Ok(entry.join("node_modules"))
}
