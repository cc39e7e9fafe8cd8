//! The orderly end of a process.
//!
//! ```text
//! running ─ signal ─▶ not ready ─ delay ─▶ stop accepting, finish what is in flight ─ deadline ─▶ force
//! ```
//!
//! [`Shutdown`] is cloned into every task. A server stops accepting at [`Shutdown::stopping`]; streams without an end of
//! their own (xDS, access logs) end there too; whatever is left ends at [`Shutdown::forced`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// How long a process takes to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// From "not ready" until nothing is accepted any more: the time load balancers need to notice. Default 0s.
    #[serde(with = "crate::duration")]
    pub delay: Duration,
    /// From then until what is still in flight is given up. Default 30s.
    #[serde(with = "crate::duration")]
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delay: Duration::ZERO, deadline: Duration::from_secs(30) }
    }
}

/// The word that the process ends, in two steps. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    stop: CancellationToken,
    force: CancellationToken,
}

impl Shutdown {
    /// A running process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing new is accepted from now on.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Everything ends now.
    pub fn force(&self) {
        self.stop.cancel();
        self.force.cancel();
    }

    /// Waits until nothing new is to be accepted.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Waits until everything is to end at once.
    pub async fn forced(&self) {
        self.force.cancelled().await;
    }

    /// Whether the process is ending.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Runs `work` until it is done or the end is forced (then `None`).
    pub async fn unless_forced<F: Future>(&self, work: F) -> Option<F::Output> {
        self.force.run_until_cancelled(work).await
    }

    /// Runs `work` until it is done or nothing new is to be accepted (then `None`): for streams and loops without an end.
    pub async fn unless_stopping<F: Future>(&self, work: F) -> Option<F::Output> {
        self.stop.run_until_cancelled(work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn force_implies_stop() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.unless_stopping(async { 1 }).await, Some(1));
        shutdown.stop();
        assert!(shutdown.is_stopping());
        assert_eq!(shutdown.unless_stopping(std::future::pending::<()>()).await, None);
        assert_eq!(shutdown.unless_forced(async { 2 }).await, Some(2));
        shutdown.force();
        assert_eq!(shutdown.unless_forced(std::future::pending::<()>()).await, None);
    }

    #[test]
    fn settings_have_defaults() {
        let settings: Settings = crate::config::parse("drain.yaml", "deadline: 5s").unwrap();
        assert_eq!(settings, Settings { delay: Duration::ZERO, deadline: Duration::from_secs(5) });
    }
}
