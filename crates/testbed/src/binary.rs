//! Programs of other crates of this workspace, which cargo does not build for a test by itself.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The program of a crate, built with the profile of the test that asks.
pub fn binary(package: &str, name: &str) -> Result<PathBuf> {
    // A test's program lies in `target/<profile>/deps`.
    let test = std::env::current_exe()?;
    let directory = test.ancestors().nth(2).context("a test lies in a profile's directory")?;
    let profile = directory.file_name().and_then(|name| name.to_str()).context("a profile has a name")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", package, "--bin", name, "--profile"]);
    // Cargo's own name for the directory of the dev profile is the odd one.
    cargo.arg(if profile == "debug" { "dev" } else { profile });
    cargo.arg("--target-dir").arg(directory.parent().context("a profile lies in the target directory")?);
    // Set for us by `cargo test`; they would make the inner cargo think that every crate's manifest has changed.
    cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().context("cargo build")?;
    if !output.status.success() {
        bail!("{package} cannot be built: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(directory.join(name))
}
