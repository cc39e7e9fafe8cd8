//! `cargo xtask waf`: what the firewall does that no single test can show.

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::workspace;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask waf differential --changed 50000 --seed 7
  cargo xtask waf dearest --seconds 600
  cargo xtask waf benign
  cargo xtask waf sanitize";

/// What is looked at.
#[derive(Debug, Subcommand)]
pub(crate) enum Look {
    /// The same rules and scores as plain Coraza? For all cases of the Core Rule Set, and for changes of them.
    Differential {
        /// How many changed requests.
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        changed: u32,
        /// What decides the changes.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u32,
    },
    /// Searches the dearest request within 128 KiB, and sends it beside others.
    Dearest {
        /// How many steps.
        #[arg(long, value_name = "N", default_value_t = 300)]
        steps: u32,
        /// How many seconds at most.
        #[arg(long, value_name = "N", default_value_t = 120)]
        seconds: u32,
        /// What decides the steps.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u32,
    },
    /// How many requests made of real texts are refused, at paranoia levels 1 and 2?
    Benign {
        /// How many requests.
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        requests: u32,
        /// What decides the requests.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u32,
    },
    /// The tests of the border to the engine under the address sanitizer, which also looks for leaks at their end.
    Sanitize,
}

/// Runs it; what it finds is printed.
pub(crate) fn run(look: &Look, profile: Option<&str>) -> Result<()> {
    workspace::engine_tools()?;
    let profile = profile.unwrap_or_else(|| workspace::usual_profile());
    let (test, numbers) = match *look {
        Look::Differential { changed, seed } => ("differential", vec![changed, seed]),
        Look::Dearest { steps, seconds, seed } => ("dearest", vec![steps, seconds, seed]),
        Look::Benign { requests, seed } => ("benign", vec![requests, seed]),
        Look::Sanitize => return sanitize(profile),
    };
    if test == "differential" {
        testbed::tools::plain_coraza()?;
    }
    let mut command = workspace::cargo();
    command.args(["test", "--quiet", "--package", "waf", "--test", test, "--profile", profile, "--"]);
    command.args(numbers.iter().map(u32::to_string));
    if command.status()?.success() { Ok(()) } else { bail!("{test}: see above") }
}

/// What Rust and C have in memory at the border; what Go has is its collector's affair. The sanitizer comes with stable Rust, only
/// its flag does not. With a target that is named, build scripts are left as they are; in a directory of its own, what is built
/// without that flag is not built anew after it.
fn sanitize(profile: &str) -> Result<()> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = workspace::cargo();
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address").env("ASAN_OPTIONS", "detect_leaks=1");
    command.args(["test", "--package", "coraza", "--profile", profile, "--target", &target, "--target-dir"]);
    command.arg(workspace::target()?.join("sanitize"));
    if command.status()?.success() { Ok(()) } else { bail!("sanitize: see above") }
}
