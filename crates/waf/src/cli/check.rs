//! `check`: whether profiles can be used, and what has to be mended.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::profile::{Loaded, Loader, Place};

/// Checks profiles: what is wrong is said with file, line and field or directive, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, or directories with all that is in them; all together are what a service would load.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A profile that every one there has to extend.
    #[arg(long, value_name = "PROFILE")]
    extends: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let place = |path: &PathBuf| Place { path: path.clone(), extends: args.extends.clone() };
    let loaded = Loader::default().load(&args.files.iter().map(place).collect::<Vec<_>>());
    match loaded.and_then(Loaded::complete) {
        Ok(profiles) => {
            for profile in profiles.iter() {
                println!("ok: {} ({} rules)", profile.plan.name, profile.rules.count());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
