//! What the kernel knows of a process, told by its number or `self`: its memory, and the processor time that it used.

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// A row of `/proc/<pid>/status`, in MiB: `VmRSS` is what it has in memory, `VmHWM` the most it ever had.
pub fn mebibytes(pid: impl Display, row: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(row)).with_context(|| format!("no row {row}"))?;
    let kibibytes: f64 = line.trim_matches([':', ' ', '\t', 'k', 'B']).parse()?;
    Ok(kibibytes / 1024.0)
}

/// The processor time of all threads that a process has now, to the nanosecond; that of threads that have ended is not in it.
/// (`stat` counts in steps of 10 ms.)
pub fn processor_time(pid: impl Display) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))? {
        // A thread may end between the two looks.
        let Ok(line) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanos = line.split(' ').next().unwrap_or_default().parse().context("schedstat")?;
        sum += Duration::from_nanos(nanos);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        assert!(mebibytes("self", "VmHWM").unwrap() > 0.5);
        let pid = std::process::id();
        let before = processor_time(pid).unwrap();
        assert!((0..1_000_000_u64).fold(0, |sum, n| sum ^ n.wrapping_mul(31)) < u64::MAX);
        assert!(processor_time(pid).unwrap() > before);
    }
}
