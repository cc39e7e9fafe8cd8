//! Fixed windows: one number that starts anew at each full unit.

use crate::limit::{Limit, Millis};

/// The count of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fixed {
    start: Millis,
    count: u64,
}

impl Fixed {
    pub(super) fn used(&self, limit: &Limit, now: Millis) -> u64 {
        if limit.unit.window_start(now) > self.start { 0 } else { self.count }
    }

    pub(super) fn add(&mut self, limit: &Limit, now: Millis, delta: i64) {
        let used = self.used(limit, now);
        // A clock that steps back stays in the later window.
        self.start = self.start.max(limit.unit.window_start(now));
        self.count = used.saturating_add_signed(delta);
    }
}

/// Both times are that of the next window. They are whole seconds, counted from the second that `now` is in.
pub(crate) fn times(limit: &Limit, now: Millis) -> (Millis, Millis) {
    let second = now - now % 1000;
    let left = limit.unit.window_start(now) + limit.unit.as_millis() - second;
    (left, left)
}
