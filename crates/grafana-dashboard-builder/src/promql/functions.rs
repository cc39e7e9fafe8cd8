//! The functions and aggregations of everyday use. For all others there is raw PromQL.

use super::{Expr, Metric, Ranged};

/// How often a second a counter grew.
pub fn rate(series: impl Into<Ranged>) -> Expr {
    Expr::atom(format!("rate({})", series.into()))
}

/// By how much a counter grew.
pub fn increase(series: impl Into<Ranged>) -> Expr {
    Expr::atom(format!("increase({})", series.into()))
}

/// The mean of a gauge over a time.
pub fn avg_over_time(series: impl Into<Ranged>) -> Expr {
    Expr::atom(format!("avg_over_time({})", series.into()))
}

/// The sum of all.
pub fn sum(of: impl Into<Expr>) -> Expr {
    aggregate("sum", &of.into())
}

/// The sum for each value of these labels.
pub fn sum_by<const N: usize>(labels: [&str; N], of: impl Into<Expr>) -> Expr {
    aggregate_by("sum", labels, &of.into())
}

/// The largest of all.
pub fn max(of: impl Into<Expr>) -> Expr {
    aggregate("max", &of.into())
}

/// The largest for each value of these labels.
pub fn max_by<const N: usize>(labels: [&str; N], of: impl Into<Expr>) -> Expr {
    aggregate_by("max", labels, &of.into())
}

/// The smallest of all.
pub fn min(of: impl Into<Expr>) -> Expr {
    aggregate("min", &of.into())
}

/// The smallest for each value of these labels.
pub fn min_by<const N: usize>(labels: [&str; N], of: impl Into<Expr>) -> Expr {
    aggregate_by("min", labels, &of.into())
}

/// The average for each value of these labels.
pub fn avg_by<const N: usize>(labels: [&str; N], of: impl Into<Expr>) -> Expr {
    aggregate_by("avg", labels, &of.into())
}

/// How many series there are.
pub fn count(of: impl Into<Expr>) -> Expr {
    aggregate("count", &of.into())
}

/// How many series there are for each value of these labels.
pub fn count_by<const N: usize>(labels: [&str; N], of: impl Into<Expr>) -> Expr {
    aggregate_by("count", labels, &of.into())
}

/// The largest few.
pub fn topk(count: u32, of: impl Into<Expr>) -> Expr {
    Expr::atom(format!("topk({count}, {})", of.into()))
}

/// The smallest few.
pub fn bottomk(count: u32, of: impl Into<Expr>) -> Expr {
    Expr::atom(format!("bottomk({count}, {})", of.into()))
}

/// A single value as a number, so that it can be put together with series of any labels.
pub fn scalar(of: impl Into<Expr>) -> Expr {
    Expr::atom(format!("scalar({})", of.into()))
}

/// Not less than this.
pub fn clamp_min(of: impl Into<Expr>, least: f64) -> Expr {
    Expr::atom(format!("clamp_min({}, {least})", of.into()))
}

/// 1 when there is no such series.
pub fn absent(of: impl Into<Expr>) -> Expr {
    Expr::atom(format!("absent({})", of.into()))
}

/// Now, in seconds since 1970.
pub fn time() -> Expr {
    Expr::atom("time()".to_owned())
}

/// A quantile (0 to 1) of a classic histogram, for each value of these labels.
pub fn histogram_quantile<const N: usize>(quantile: f64, labels: [&str; N], histogram: impl Into<Ranged>) -> Expr {
    Expr::atom(format!("histogram_quantile({quantile}, {})", per_bucket(labels, histogram)))
}

/// How often a second a classic histogram's buckets grew, for each value of these labels: what a heat map shows.
pub fn per_bucket<const N: usize>(labels: [&str; N], histogram: impl Into<Ranged>) -> Expr {
    let by: Vec<&str> = ["le"].into_iter().chain(labels).collect();
    let rate = rate(histogram.into().part(Metric::buckets));
    Expr::atom(format!("sum by ({}) ({rate})", by.join(", ")))
}

/// The mean of what a histogram observed.
pub fn mean(histogram: impl Into<Ranged>) -> Expr {
    let histogram = histogram.into();
    sum(rate(histogram.part(Metric::total))) / sum(rate(histogram.part(Metric::observations)))
}

/// The mean of what a histogram observed, for each value of these labels.
pub fn mean_by<const N: usize>(labels: [&str; N], histogram: impl Into<Ranged>) -> Expr {
    let histogram = histogram.into();
    sum_by(labels, rate(histogram.part(Metric::total))) / sum_by(labels, rate(histogram.part(Metric::observations)))
}

/// A part of a whole, from 0 to 1. It is 0, not nothing, while the part has no series yet.
pub fn share(part: impl Into<Expr>, whole: impl Into<Expr>) -> Expr {
    part.into().or_zero() / whole
}

fn aggregate(how: &str, of: &Expr) -> Expr {
    Expr::atom(format!("{how}({of})"))
}

fn aggregate_by<const N: usize>(how: &str, labels: [&str; N], of: &Expr) -> Expr {
    Expr::atom(format!("{how} by ({}) ({of})", labels.join(", ")))
}
