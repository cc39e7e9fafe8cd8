//! `portcullis-waf`: the web application firewall and its tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    waf::cli::main()
}
