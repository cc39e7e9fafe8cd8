//! The command line of a service: flags, and tools by name for those who configure it.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::kit::Kit;
use crate::reload::Reloading;
use crate::run::{BAD_CONFIG, Config, Flags, run_with_flags};
use crate::tasks::BoxError;

/// What a service says of itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name; that of its binary without `portcullis-`.
    pub service: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// What it is, in one line.
    pub what: &'static str,
    /// What its help ends with: `Examples:` and lines.
    pub examples: &'static str,
}

/// For a service without tools.
#[derive(Debug, Subcommand)]
pub enum NoTool {}

#[derive(Parser)]
#[command(max_term_width = 110, args_conflicts_with_subcommands = true)]
struct Cli<T: Subcommand> {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    tool: Option<T>,
}

/// Runs a service as its `main`. Reads the flags and the file, starts telemetry and admin, calls `serve`, drains, and gives the
/// exit code: 0, 1 for a failure, 2 for a wrong configuration or command line. `serve` may start its servers as tasks of the kit
/// and return at once: the process lives until a signal or a failure as long as a task does. Where the command line names a
/// tool, `use_tool` is called instead.
pub fn run<C, S, F, E, T>(about: &About, serve: S, use_tool: impl FnOnce(T) -> ExitCode) -> ExitCode
where
    C: Config,
    S: FnOnce(Kit, Reloading<C>) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + 'static,
    T: Subcommand,
{
    let name = format!("portcullis-{}", about.service);
    let command = Cli::<T>::command().bin_name(name.clone()).display_name(name);
    let command = command.version(about.version).about(about.what).after_help(about.examples);
    match command.try_get_matches().and_then(|matches| Cli::<T>::from_arg_matches(&matches)) {
        Ok(Cli { tool: Some(tool), .. }) => use_tool(tool),
        Ok(Cli { flags, tool: None }) => run_with_flags(about.service, about.version, flags, serve),
        // Help and version are no failures; clap knows.
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(BAD_CONFIG))
        }
    }
}
