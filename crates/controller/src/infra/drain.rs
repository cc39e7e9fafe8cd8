//! Lets an Envoy finish what it has, by its admin interface.
//!
//! ```text
//! /healthcheck/fail ─▶ /drain_listeners?graceful ─▶ nothing left to finish, or the deadline
//! ```

use std::time::Duration;

use http::Method;
use kit::net::Address;
use tokio::time::{Instant, sleep, sleep_until};

use crate::local_http::{self, Error};

/// How often is looked whether something is left.
const LOOK: Duration = Duration::from_millis(100);
/// From here on load balancers hear that Envoy goes, and HTTP connections are asked to close.
const FAIL_HEALTH_CHECKS: &str = "/healthcheck/fail";
/// Connections are asked to close; new ones are taken until all is done.
const DRAIN_LISTENERS: &str = "/drain_listeners?graceful&skip_exit";

/// How long each part of the end may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long what is in flight is waited for.
    pub timeout: Duration,
    /// How long Envoy goes on though nothing is in flight: clients that have not heard yet still come.
    pub least: Duration,
    /// For how long Envoy says to be healthy while it drains already.
    pub healthy: Duration,
}

/// Drains an Envoy until it has nothing left to finish, but no longer than `pace` says.
///
/// # Errors
/// The admin interface does not answer: Envoy cannot be drained.
pub async fn drain(admin: &Address, pace: Pace) -> Result<(), Error> {
    let start = Instant::now();
    // With a delay the listeners are drained by themselves; failing the health check would begin that, too.
    let mut fail_at = (!pace.healthy.is_zero()).then(|| start + pace.healthy);
    if fail_at.is_none() {
        local_http::send(admin, Method::POST, FAIL_HEALTH_CHECKS).await?;
    }
    local_http::send(admin, Method::POST, DRAIN_LISTENERS).await?;
    let (least, end) = (start + pace.least, start + pace.timeout.max(pace.least));
    loop {
        let now = Instant::now();
        if fail_at.is_some_and(|at| now >= at) {
            local_http::send(admin, Method::POST, FAIL_HEALTH_CHECKS).await?;
            fail_at = None;
        }
        if now >= end || (now >= least && fail_at.is_none() && !is_busy(admin).await) {
            return Ok(());
        }
        match fail_at {
            _ if now >= least => sleep(LOOK).await,
            at => sleep_until(at.unwrap_or(least).min(least)).await,
        }
    }
}

/// Whether Envoy has something to finish: a request, or a connection of another protocol than HTTP. HTTP connections on
/// which nothing is asked may be closed at any time; clients know that.
async fn is_busy(admin: &Address) -> bool {
    let filter = "/stats?filter=%5E(listener|http)%5C..*downstream_(cx|rq)_active%24";
    let Ok((_, body)) = local_http::send(admin, Method::GET, filter).await else { return false };
    let (mut connections, mut http_connections, mut requests) = (0, 0, 0);
    for (name, value) in String::from_utf8_lossy(&body).lines().filter_map(|line| line.rsplit_once(": ")) {
        let value = value.parse::<u64>().unwrap_or(0);
        // The admin interface is ours, and those of each worker are counted in the sum already.
        match name.split('.').next() {
            _ if name.contains(".admin.") || name.contains(".worker_") => {}
            Some("listener") => connections += value,
            Some("http") if name.ends_with("_rq_active") => requests += value,
            _ => http_connections += value,
        }
    }
    requests > 0 || connections > http_connections
}
