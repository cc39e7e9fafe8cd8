//! `portcullis-exporter`: what Envoy's access logs say, as metrics, events and a live page.

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::cli::main()
}
