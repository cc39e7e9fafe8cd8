//! What the firewall is compared to: Coraza by its own Go interface (`crates/testbed/go-waf`), and the Core Rule Set's files for
//! engines that read them from a disk.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::module::{Build, Module};

const PLAIN: Module = Module {
    sources: &[
        ("go.mod", include_str!("../../go-waf/go.mod")),
        ("go.sum", include_str!("../../go-waf/go.sum")),
        ("main.go", include_str!("../../go-waf/main.go")),
        ("judge.go", include_str!("../../go-waf/judge.go")),
        ("serve.go", include_str!("../../go-waf/serve.go")),
    ],
};

/// The Go module of the Core Rule Set.
const CORE_RULES: &str = "github.com/corazawaf/coraza-coreruleset/v4";

/// The program that judges, or serves behind Coraza's own middleware, built if it is not in the cache.
pub fn plain_coraza() -> Result<PathBuf> {
    PLAIN.build(&Build { name: "plain-coraza", package: ".", make: &["build"], linker_flags: "-s -w" })
}

/// A directory of the Core Rule Set's module: `rules` or `tests`.
pub fn core_rules(directory: &str) -> Result<PathBuf> {
    let version = PLAIN.version(CORE_RULES).context("go.mod pins the Core Rule Set")?;
    PLAIN.dir(CORE_RULES, version, directory)
}
