//! An end that is asked for from outside.

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Does the work unless Ctrl-C or SIGTERM comes: then what was begun is dropped, with all that it started, and that is an error.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        outcome = work => outcome,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}
