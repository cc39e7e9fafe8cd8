//! Figures of the controller: in this process, and of real processes at work. `cargo xtask bench core` builds and runs it.
//!
//! ```text
//! core ─┬─▶ itself, once for each case: scratch, changes   (so that each has its own peak of memory)
//!       └─▶ portcullis server ─▶ Envoy                     (live, cost)
//! ```

mod change;
mod core;
mod cost;
mod figures;
mod house;
mod live;
mod manifests;
mod scratch;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::manifests::Layout;

/// Measures.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All figures of the controller, as JSON on standard output and progress on standard error.
    Core {
        /// The built `portcullis`.
        #[arg(long)]
        portcullis: PathBuf,
        /// Only parts whose name has this in it: scratch, change, live, cost.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Everything from nothing, in this process.
    Scratch(Case),
    /// One route after another, in this process.
    Changes(Case),
}

/// How many routes, and what they have in common.
#[derive(Debug, clap::Args)]
struct Case {
    #[arg(long)]
    layout: Layout,
    #[arg(long)]
    routes: usize,
    #[arg(long)]
    times: usize,
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Core { portcullis, only } => core::run(&portcullis, &only),
        Command::Scratch(Case { layout, routes, times }) => figures::print(&scratch::run(layout, routes, times)?),
        Command::Changes(Case { layout, routes, times }) => figures::print(&change::run(layout, routes, times)?),
    }
}
