//! Sliding windows: hits are kept by twentieths of the unit and forgotten one twentieth at a time.
//!
//! ```text
//!            ├──────────── one unit ─────────────┤
//!  forgotten │ 3 │ 0 │ 1 │ …  twenty parts … │ 2 │ the part of now
//! ```
//!
//! A hit counts in the part it fell into and in the twenty that follow, so for at least one unit, and for at most a
//! twentieth longer. That makes the bound exact: no span of one unit ever holds more admitted hits than the limit.

use crate::limit::{Limit, Millis};

/// Into how many parts a unit is cut.
pub const PARTS: u64 = 20;

/// Hits by part, oldest first; parts without hits are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sliding(Vec<(u64, u64)>);

/// The length of a part: a unit is a whole number of seconds, which twenty divides in milliseconds.
fn part(limit: &Limit) -> Millis {
    limit.unit.as_millis() / PARTS
}

impl Sliding {
    /// A counter as Redis keeps it, `part:hits part:hits …`; none where that is something else.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let pair = |pair: &str| {
            let (part, hits) = pair.split_once(':')?;
            Some((part.parse().ok()?, hits.parse().ok()?))
        };
        text.split_terminator(' ').map(pair).collect::<Option<_>>().map(Self)
    }

    /// The part of `now`; a clock that steps back stays in the newest part.
    fn current(&self, limit: &Limit, now: Millis) -> u64 {
        self.0.last().map_or(0, |(newest, _)| *newest).max(now / part(limit))
    }

    fn live(&self, limit: &Limit, now: Millis) -> &[(u64, u64)] {
        let current = self.current(limit, now);
        let from = self.0.partition_point(|(part, _)| part + PARTS < current);
        &self.0[from..]
    }

    pub(super) fn used(&self, limit: &Limit, now: Millis) -> u64 {
        self.live(limit, now).iter().map(|(_, count)| count).sum()
    }

    pub(super) fn add(&mut self, limit: &Limit, now: Millis, delta: i64) {
        let current = self.current(limit, now);
        self.0.retain(|(part, _)| part + PARTS >= current);
        if let Ok(hits) = u64::try_from(delta) {
            match self.0.last_mut() {
                Some((newest, count)) if *newest == current => *count = count.saturating_add(hits),
                _ if hits > 0 => self.0.push((current, hits)),
                _ => {}
            }
            return;
        }
        // What is given back was taken lately.
        let mut refund = delta.unsigned_abs();
        while let Some((_, count)) = self.0.last_mut() {
            let back = refund.min(*count);
            *count -= back;
            refund -= back;
            if *count > 0 {
                break;
            }
            self.0.pop();
        }
    }

    pub(super) fn times(&self, limit: &Limit, now: Millis, hits: i64) -> (Millis, Millis) {
        let forgotten = |part_index: u64| ((part_index + PARTS + 1) * part(limit)).saturating_sub(now);
        let live = self.live(limit, now);
        let reset = live.last().map_or(0, |(part, _)| forgotten(*part));
        let mut left = self.used(limit, now);
        if !super::is_over(limit, left, hits) {
            return (reset, 0);
        }
        for (part, count) in live {
            left -= count;
            if !super::is_over(limit, left, hits) {
                return (reset, forgotten(*part));
            }
        }
        (reset, limit.unit.as_millis())
    }
}
