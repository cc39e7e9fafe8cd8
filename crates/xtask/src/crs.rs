//! `cargo xtask crs`: the regression tests of the OWASP Core Rule Set, through a real Envoy and the firewall.

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask crs            all 4,674 cases, in a minute
  cargo xtask crs 942100     only the cases with `942100` in their name";

/// Which cases to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Runs only the cases whose name (rule and number, as 942100-3) holds this.
    filter: Option<String>,
    /// The cargo profile to build with.
    #[arg(long, default_value_t = workspace::usual_profile().to_owned())]
    profile: String,
}

/// Runs them; the last line says how many passed, failed, and went otherwise as listed.
pub(crate) fn run(options: &Options) -> Result<()> {
    workspace::engine_tools()?;
    let mut command = workspace::cargo();
    command.args(["test", "--quiet", "--package", "waf", "--test", "crs", "--profile", &options.profile, "--"]);
    command.args(options.filter.as_deref());
    if command.status()?.success() { Ok(()) } else { bail!("not every case went as it should") }
}
