//! `check`: whether rules can be used, and what has to be mended.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::rules;

/// Checks files with rules: what is wrong is said with file, line and field, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, or directories with all that is in them; all together are what a service would load.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match rules::load(&args.files) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}: nothing reads it here");
            }
            let (rules, domains) = (loaded.rules.all().len(), loaded.rules.domains().len());
            println!("ok: {rules} rules in {domains} domains");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
