//! Ending a cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testbed::cluster::{holder, is_held, sweep_all};
use testbed::wait::wait_until_blocking;

/// How long a cluster may take to end.
const END: Duration = Duration::from_secs(60);

/// Ends the cluster of that name; it is no error if there is none.
pub(super) fn run(name: &str) -> Result<()> {
    let start = Instant::now();
    let Some(keeper) = holder(name)? else {
        sweep_all()?;
        println!("cluster {name} is not up");
        return Ok(());
    };
    // Whoever else owns a cluster ends it himself.
    let line = std::fs::read(format!("/proc/{keeper}/cmdline")).unwrap_or_default();
    if !line.split(|&byte| byte == 0).any(|word| word == b"keep") {
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        bail!("cluster {name} belongs to process {keeper} and ends with it: {line}");
    }
    end(keeper)?;
    wait_until_blocking("the end of the cluster", END, || is_held(name).is_ok_and(|held| !held))?;
    sweep_all()?;
    println!("cluster {name} is down after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Asks a keeper to end.
pub(super) fn end(keeper: u32) -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    let id = nix::unistd::Pid::from_raw(keeper.cast_signed());
    kill(id, Signal::SIGTERM).with_context(|| format!("cannot end process {keeper}"))
}
