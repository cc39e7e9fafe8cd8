//! The time of this machine, in whole seconds since 1970, as tokens have it.

use std::time::SystemTime;

/// Seconds since 1970.
pub type Seconds = u64;

/// Now.
pub fn now() -> Seconds {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
