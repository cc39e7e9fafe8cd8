//! What all streams share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kit::reload::Reloading;

use crate::observe::Observer;
use crate::pool::Pool;
use crate::profile::Profiles;
use crate::select::Choice;

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Firewall {
    /// The profiles in force.
    pub(crate) profiles: Reloading<Profiles>,
    /// Which of them a request gets.
    pub(crate) choices: Vec<Choice>,
    /// The one it gets when none of the choices fits.
    pub(crate) usual: String,
    /// Where rules run.
    pub(crate) pool: Pool,
    /// How long a step may take.
    pub(crate) deadline: Duration,
    /// Whether clients are told which rules refused them.
    pub(crate) name_rules: bool,
    /// Who is told of requests that are over.
    pub(crate) observer: Arc<Observer>,
}

/// An id for a request that has none: when, and which one of this process.
pub(crate) fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    format!("{now:x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
