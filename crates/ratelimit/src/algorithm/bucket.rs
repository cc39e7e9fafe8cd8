//! Token buckets, in the form of GCRA: one debt that is paid off evenly.
//!
//! A hit costs as many points as the unit has milliseconds, and each millisecond pays `requests` points, so all numbers are
//! whole. They are kept as floating point numbers because Redis' scripts have no others: exact up to 2⁵³ points (150 thousand
//! million hits of a minute, 285 thousand of a year), and beyond that wrong by less than one part in a thousand million
//! million.

use crate::limit::{Limit, Millis};

/// The debt at a time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bucket {
    debt: f64,
    at: Millis,
}

#[expect(clippy::cast_precision_loss, reason = "see the module's documentation")]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, not negative, and saturating")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A span of time, as far as Redis' scripts can tell one: up to 2⁵³ milliseconds.
fn span(time: f64) -> Millis {
    const LONGEST: Millis = 1 << 53;
    whole(time.ceil()).min(LONGEST)
}

fn cost(limit: &Limit) -> f64 {
    float(limit.unit.as_millis())
}

impl Bucket {
    /// What is left of the debt; a clock that steps back pays nothing.
    fn debt(&self, limit: &Limit, now: Millis) -> f64 {
        let paid = float(now.saturating_sub(self.at)) * f64::from(limit.requests);
        (self.debt - paid).max(0.0)
    }

    pub(super) fn used(&self, limit: &Limit, now: Millis) -> u64 {
        whole((self.debt(limit, now) / cost(limit)).ceil())
    }

    pub(super) fn add(&mut self, limit: &Limit, now: Millis, delta: i64) {
        let points = float(delta.unsigned_abs()) * cost(limit);
        let debt = self.debt(limit, now);
        self.debt = if delta < 0 { (debt - points).max(0.0) } else { debt + points };
        self.at = self.at.max(now);
    }

    pub(super) fn times(&self, limit: &Limit, now: Millis, hits: i64) -> (Millis, Millis) {
        if limit.requests == 0 {
            return (limit.unit.as_millis(), limit.unit.as_millis());
        }
        let rate = f64::from(limit.requests);
        let debt = self.debt(limit, now);
        let beyond = (float(hits.max(0).unsigned_abs()) - f64::from(limit.burst)) * cost(limit);
        let excess = debt + beyond;
        (span(debt / rate), span(excess / rate))
    }
}
