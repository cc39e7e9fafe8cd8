//! `portcullis`: the controller and its tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    controller::cli::main()
}
