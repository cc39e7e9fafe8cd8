//! Programs of other crates of this workspace, which cargo does not build for a test by itself, and how cargo is called.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The cargo that runs this process, in this workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    // Set by `cargo test` and `cargo run`; they would make the inner cargo think that every crate's manifest has changed.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    command
}

/// The directory of a profile in the target directory. Cargo's own name for the one of the dev profile is the odd one.
pub fn directory_of(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

/// The program of a crate, built with the profile of the test that asks.
pub fn binary(package: &str, name: &str) -> Result<PathBuf> {
    // A test's program lies in `target/<profile>/deps`.
    let test = std::env::current_exe()?;
    let directory = test.ancestors().nth(2).context("a test lies in a profile's directory")?;
    let profile = directory.file_name().and_then(|name| name.to_str()).context("a profile has a name")?;
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--package", package, "--bin", name, "--profile"]);
    cargo.arg(if profile == directory_of("dev") { "dev" } else { profile });
    cargo.arg("--target-dir").arg(directory.parent().context("a profile lies in the target directory")?);
    let output = cargo.output().context("cargo build")?;
    if !output.status.success() {
        bail!("{package} cannot be built: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(directory.join(name))
}
