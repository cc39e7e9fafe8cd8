//! Durations that were measured, and percentiles of them.

use std::time::Duration;

/// Durations, in the order of their length.
#[derive(Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Takes them in any order.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The duration that this share of all (from 0 to 1) does not exceed, in ms.
    pub fn millis(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        // Lists are short: nothing is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = (last as f64 * share).ceil() as usize;
        self.0.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_list() {
        let times = Times::new((1..=101).rev().map(Duration::from_millis).collect());
        let millis = |share| format!("{:.0}", times.millis(share));
        assert_eq!((millis(0.5), millis(0.99), millis(1.0)), ("51".into(), "100".into(), "101".into()));
    }
}
