//! `portcullis-oidc`: single sign-on for Envoy, and its tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    oidc::cli::main()
}
