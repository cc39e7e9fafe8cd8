//! The end of an Envoy: it finishes what it has, then it ends.
//!
//! ```text
//! drained ([`drain::drain`]) ─▶ SIGTERM ─▶ SIGKILL
//! ```

use std::time::Duration;

use kit::net::Address;
use nix::sys::signal::Signal;
use tokio::time::timeout;

use super::process::{Files, Process};
use crate::infra::drain::{self, Pace};

/// How long Envoy may take to end once it is told to.
const TERMINATE: Duration = Duration::from_secs(5);

/// Drains an Envoy for `deadline` at most, and ends it.
pub(super) async fn drain(mut process: Process, files: &Files, fleet: &str, deadline: Duration) {
    let admin = Address::Unix(files.admin_socket());
    let pace = Pace { timeout: deadline, ..Pace::default() };
    tokio::select! {
        drained = drain::drain(&admin, pace) => {
            if let Err(error) = drained {
                tracing::warn!(component = "infrastructure", fleet, %error, "Envoy cannot be drained, it is ended at once");
            }
        }
        () = process.ended() => {}
    }
    terminate(&mut process).await;
    tracing::info!(component = "infrastructure", fleet, "Envoy has ended");
}

/// Ends an Envoy at once.
pub(super) async fn terminate(process: &mut Process) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        process.signal(signal);
        if timeout(TERMINATE, process.ended()).await.is_ok() {
            return;
        }
    }
}
