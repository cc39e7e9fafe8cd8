//! Figures: medians and percentiles, and how they are handed on.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

/// One figure, in the shape that `cargo xtask bench` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Measure {
    name: String,
    value: f64,
    unit: &'static str,
    /// The most it should be, or what it is compared to.
    peer: Option<f64>,
    /// `value / peer`.
    ratio: Option<f64>,
}

impl Measure {
    /// A figure, and what it should be at most.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, peer: Option<f64>) -> Self {
        Self { name: name.into(), value, unit, peer, ratio: peer.map(|peer| value / peer) }
    }
}

/// Durations that were measured, in the order of their length.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The duration that this share of all (from 0 to 1) does not exceed, in ms.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        // Lists are short: nothing is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = (last as f64 * share).ceil() as usize;
        self.0.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// The middle one of some figures.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints as JSON.
pub(crate) fn print(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_list() {
        let times = Times::new((1..=101).rev().map(Duration::from_millis).collect());
        let millis = |share| format!("{:.0}", times.millis(share));
        assert_eq!((millis(0.5), millis(0.99), millis(1.0)), ("51".into(), "100".into(), "101".into()));
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
