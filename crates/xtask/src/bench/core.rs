//! The controller's figures. Those that need its code in the process come from the program `bench`, so that the developer
//! commands build without the controller.

use std::process::Command;

use anyhow::{Context, Result, bail};
use testbed::{progress, tools};

use super::Measure;
use crate::workspace::build;

pub(super) fn run() -> Result<Vec<Measure>> {
    let built =
        progress::step("building (release)", || build("release", &["bench", "controller"], &["bench", "portcullis"]))?;
    let [bench, portcullis] = built.as_slice() else { bail!("cargo built something else") };
    let version = |program: &std::path::Path| -> Result<String> {
        let output = Command::new(program).arg("--version").output().with_context(|| program.display().to_string())?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    println!("{}\n{}\n", version(portcullis)?, version(&tools::envoy()?)?);
    let output = progress::step("measuring, about five minutes", || {
        let command = Command::new(bench)
            .args(["core", "--portcullis"])
            .arg(portcullis)
            .stderr(std::process::Stdio::inherit())
            .output();
        command.with_context(|| bench.display().to_string())
    })?;
    if !output.status.success() {
        bail!("the benchmark failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the benchmark printed something else")
}
