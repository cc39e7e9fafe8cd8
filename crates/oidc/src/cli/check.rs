//! `check`: whether a configuration can be used, and what has to be mended.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kit::Config as _;

use crate::settings::Settings;

/// Checks a configuration: what is wrong is said with file, line and field, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match load(&args.file) {
        Ok(settings) => {
            println!("ok: {} providers, {} profiles", settings.providers.len(), settings.profiles.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The configuration of a file, with its keys and pages looked at too.
pub(super) fn load(file: &Path) -> Result<Settings, String> {
    let text = kit::config::read_text(file).map_err(|error| error.to_string())?;
    let document = kit::config::single(&file.display().to_string(), &text).map_err(|error| error.to_string())?;
    let (settings, unknown) = document.read::<Settings>().map_err(|error| error.to_string())?;
    if let Some(finding) = unknown.first() {
        return Err(finding.to_string());
    }
    settings.check(&document).map_err(|error| error.to_string())?;
    if !settings.keys.is_empty() {
        crate::serve::read_keys(&settings.keys)
            .map_err(|error| document.finding("keys", error.to_string()).to_string())?;
    }
    crate::pages::Pages::load(&settings.pages).map_err(|error| document.finding("pages", error).to_string())?;
    Ok(settings)
}
