//! Where the tree is, and how cargo is called in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use testbed::binary;

/// The top of the tree that this program was built from.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// The cargo that runs us, in the top of the tree.
pub(crate) fn cargo() -> Command {
    let mut command = binary::cargo();
    command.current_dir(root());
    command
}

/// Whether this runs in continuous integration.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// The cargo profile that developer commands build with, unless told another: what is built already.
pub(crate) fn usual_profile() -> &'static str {
    if in_ci() { "ci" } else { "dev" }
}

/// What `cargo metadata` says of the crates of this workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    target_directory: PathBuf,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a crate's dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`, or none for an ordinary one.
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// Set for the crates of this workspace.
    pub(crate) path: Option<PathBuf>,
}

/// Asks cargo about this workspace.
pub(crate) fn metadata() -> Result<Metadata> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output().context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata printed something else")
}

/// Where cargo puts what it builds; for what our own commands leave behind, too.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(metadata()?.target_directory)
}

/// Fetches what building the firewall's engine needs where the machine lacks it.
pub(crate) fn engine_tools() -> Result<()> {
    testbed::tools::go()?;
    testbed::tools::libclang()?;
    Ok(())
}

/// Builds these binaries with that profile and says where they are. Cargo's own progress is shown.
pub(crate) fn build(profile: &str, packages: &[&str], binaries: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command.args(["build", "--profile", profile]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command.args(binaries.iter().flat_map(|binary| ["--bin", binary]));
    if !command.status().context("cargo build")?.success() {
        bail!("the build failed");
    }
    let directory = metadata()?.target_directory.join(binary::directory_of(profile));
    Ok(binaries.iter().map(|binary| directory.join(binary)).collect())
}
