//! cert-manager, built from the Go module that `crates/testbed/go-cert-manager` pins: the last release whose module holds the
//! controller. Those after it keep the program in a module that no proxy has.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::module::{Build, Module};

const CERT_MANAGER: Module = Module {
    sources: &[
        ("go.mod", include_str!("../../go-cert-manager/go.mod")),
        ("go.sum", include_str!("../../go-cert-manager/go.sum")),
    ],
};

const MODULE: &str = "github.com/cert-manager/cert-manager";

/// The executable of the controller, built if it is not in the cache.
pub fn cert_manager() -> Result<PathBuf> {
    CERT_MANAGER.build(&Build {
        name: "cert-manager",
        package: "github.com/cert-manager/cert-manager/cmd/controller",
        make: &["build"],
        linker_flags: "-s -w",
    })
}

/// Its definitions as manifests. They are a chart's: the lines that the chart fills in are labels, and left out.
pub fn cert_manager_definitions() -> Result<String> {
    let version = CERT_MANAGER.version(MODULE).context("go.mod pins cert-manager")?;
    let mut manifests = String::new();
    for file in fs::read_dir(CERT_MANAGER.dir(MODULE, version, "deploy/crds")?)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            manifests.push_str("---\n");
            let text = fs::read_to_string(&file)?;
            manifests.extend(text.lines().filter(|line| !line.contains("{{")).flat_map(|line| [line, "\n"]));
        }
    }
    Ok(manifests)
}
