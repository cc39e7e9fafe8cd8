//! Developer commands, run as `cargo xtask <command>`.

mod bench;
mod cli;
mod cluster;
mod cluster_tests;
mod conformance;
mod crs;
mod dashboards;
mod demo;
mod fuzz;
mod generate;
mod install;
mod interrupt;
mod rooms;
mod test;
mod waf;
mod workspace;

fn main() -> std::process::ExitCode {
    cli::run()
}
