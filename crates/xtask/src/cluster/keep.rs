//! The process that owns a cluster.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::Wanted;

/// Starts the cluster and keeps it until SIGTERM; also when that comes half-way.
pub(super) async fn run(wanted: &Wanted) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let cluster = tokio::select! {
        cluster = wanted.spec().start() => cluster?,
        _ = terminate.recv() => return Ok(()),
    };
    terminate.recv().await;
    cluster.stop().await
}
