//! `cargo xtask bench`: figures, each with what it is compared to.

mod core;
mod floor;
mod machine;
mod ratelimit;
mod report;

use std::path::Path;

use anyhow::{Context, Result, bail};

pub(crate) use report::Measure;
use testbed::progress;

use crate::workspace::cargo;

/// One benchmark.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Vec<Measure>>,
}

/// Every benchmark there is. To add one, add a line.
const BENCHES: &[Bench] = &[
    Bench { name: "floor", about: floor::ABOUT, run: floor::run },
    Bench { name: "core", about: core::ABOUT, run: core::run },
    Bench { name: "ratelimit", about: ratelimit::ABOUT, run: ratelimit::run },
];

/// Runs one benchmark and prints its table, or lists what there is.
pub(crate) fn run(name: Option<&str>, json: Option<&Path>) -> Result<()> {
    let Some(name) = name else {
        BENCHES.iter().for_each(|bench| println!("{:12} {}", bench.name, bench.about));
        return Ok(());
    };
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no benchmark {name}; there are: {}", names.join(", "));
    };
    if cfg!(debug_assertions) {
        return again_in_release(name, json);
    }
    println!("{}\n", machine::describe());
    let measures = (bench.run)()?;
    print!("{}", report::table(&measures));
    println!("\nload average at the end: {}", machine::load());
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&measures)?).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Figures of a debug build mean nothing: runs this command once more, built as users get it.
fn again_in_release(name: &str, json: Option<&Path>) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "xtask", "--", "bench", name]);
    if let Some(file) = json {
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    let status = progress::step("building (release) and measuring", || command.status().context("cargo run"))?;
    if status.success() { Ok(()) } else { bail!("the benchmark failed") }
}
