//! A line for every step that takes a while, on standard error.

use std::time::Instant;

use anyhow::Result;

/// Runs `work`, with a line before it and one with its seconds after it.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("▸ {what} …");
    let start = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("  {verdict} in {:.1} s", start.elapsed().as_secs_f64());
    result
}
