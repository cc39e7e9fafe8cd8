//! Prints all files as one JSON object, for `cargo xtask gen`.

use std::collections::BTreeMap;
use std::process::ExitCode;

fn main() -> ExitCode {
    match dashboards::files() {
        Ok(files) => {
            let files: BTreeMap<_, _> = files.into_iter().collect();
            println!("{}", serde_json::json!(files));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
