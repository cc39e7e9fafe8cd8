//! `portcullis-ratelimit`: the global rate limit service and its tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    ratelimit::cli::main()
}
