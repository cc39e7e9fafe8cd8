//! `portcullis completion`: what a shell needs to complete our command lines.

use clap_complete::Shell;

/// Prints a script that completes command lines of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  portcullis completion bash > /etc/bash_completion.d/portcullis\n  \
                  source <(portcullis completion zsh)")]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn print(args: &Args, mut command: clap::Command) {
    clap_complete::generate(args.shell, &mut command, "portcullis", &mut std::io::stdout());
}
