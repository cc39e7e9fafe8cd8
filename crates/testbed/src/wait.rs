//! Waiting for a condition with a deadline, instead of sleeping and hoping.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks every 10 ms until `look` yields a value; `what` names the thing in the error when `deadline` has passed.
pub async fn wait_for<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if start.elapsed() > deadline {
            bail!("waited {:.1} s in vain for {what}", start.elapsed().as_secs_f64());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks every 10 ms until `condition` is true.
pub async fn wait_until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) -> Result<()> {
    wait_for(what, deadline, async || condition().await.then_some(())).await
}

/// Looks every 10 ms until `look` yields `wanted`; the error shows what it yielded last.
pub async fn wait_for_value<T>(
    what: &str,
    deadline: Duration,
    wanted: &T,
    mut look: impl AsyncFnMut() -> T,
) -> Result<()>
where
    T: PartialEq + Debug,
{
    let start = Instant::now();
    loop {
        let seen = look().await;
        if seen == *wanted {
            return Ok(());
        }
        if start.elapsed() > deadline {
            bail!("waited {:.1} s in vain for {what}: wanted {wanted:?}, saw {seen:?}", start.elapsed().as_secs_f64());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// As [`wait_until`], for code without a runtime.
pub fn wait_until_blocking(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > deadline {
            bail!("waited {:.1} s in vain for {what}", start.elapsed().as_secs_f64());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
