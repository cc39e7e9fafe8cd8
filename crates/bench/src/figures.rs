//! Figures, and how they are handed on.

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
    fn the_median_is_of_the_sorted_list() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
