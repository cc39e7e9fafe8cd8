//! Metrics, and which of their series are meant.

use std::borrow::Cow;
use std::fmt;

use super::Expr;

/// The range that suits a panel's resolution and is never shorter than four scrapes.
const RATE_INTERVAL: &str = "$__rate_interval";

/// A metric: its name and its labels. A histogram is one metric, without `_bucket`, `_sum` and `_count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    name: Cow<'static, str>,
    labels: &'static [&'static str],
}

impl Metric {
    /// A metric with these labels.
    pub const fn new(name: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name: Cow::Borrowed(name), labels }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own labels, without those of the target that it comes from.
    pub fn labels(&self) -> &'static [&'static str] {
        self.labels
    }

    /// The buckets of a histogram.
    #[must_use]
    pub fn buckets(&self) -> Self {
        self.part("_bucket")
    }

    /// The sum of all that a histogram has observed.
    #[must_use]
    pub fn total(&self) -> Self {
        self.part("_sum")
    }

    /// How many observations a histogram has.
    #[must_use]
    pub fn observations(&self) -> Self {
        self.part("_count")
    }

    /// The series that all of these let through.
    pub fn with(self, matchers: impl IntoIterator<Item = Matcher>) -> Selector {
        Selector { metric: self, matchers: matchers.into_iter().collect() }
    }

    /// All series over so long, such as `5m`.
    pub fn over(self, range: impl Into<String>) -> Ranged {
        self.with([]).over(range)
    }

    fn part(&self, suffix: &str) -> Self {
        Self { name: format!("{}{suffix}", self.name).into(), labels: self.labels }
    }
}

/// What a label has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    label: String,
    operator: &'static str,
    value: String,
}

/// The label is this.
pub fn is(label: impl Into<String>, value: impl Into<String>) -> Matcher {
    Matcher { label: label.into(), operator: "=", value: value.into() }
}

/// The label is not this.
pub fn is_not(label: impl Into<String>, value: impl Into<String>) -> Matcher {
    Matcher { label: label.into(), operator: "!=", value: value.into() }
}

/// The whole label matches a regular expression; a variable with several values is one.
pub fn matches(label: impl Into<String>, pattern: impl Into<String>) -> Matcher {
    Matcher { label: label.into(), operator: "=~", value: pattern.into() }
}

/// The label does not match a regular expression.
pub fn matches_not(label: impl Into<String>, pattern: impl Into<String>) -> Matcher {
    Matcher { label: label.into(), operator: "!~", value: pattern.into() }
}

impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', r"\\").replace('"', r#"\""#);
        write!(formatter, "{}{}\"{value}\"", self.label, self.operator)
    }
}

/// Series of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    metric: Metric,
    matchers: Vec<Matcher>,
}

impl Selector {
    /// These series over so long, such as `5m` or `$__range`.
    pub fn over(self, range: impl Into<String>) -> Ranged {
        Ranged { selector: self, range: range.into(), offset: None }
    }

    /// These series as they were so long ago, such as `10m`.
    pub fn offset(self, offset: impl Into<String>) -> Expr {
        Expr::atom(format!("{self} offset {}", offset.into()))
    }

    /// With one condition more.
    #[must_use]
    pub fn and(mut self, matcher: Matcher) -> Self {
        self.matchers.push(matcher);
        self
    }
}

impl From<Metric> for Selector {
    fn from(metric: Metric) -> Self {
        metric.with([])
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.metric.name)?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        write!(formatter, "{{{}}}", matchers.join(","))
    }
}

/// Series over a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranged {
    selector: Selector,
    range: String,
    offset: Option<String>,
}

impl Ranged {
    /// The same of a histogram's part.
    pub(crate) fn part(&self, part: fn(&Metric) -> Metric) -> Self {
        let selector = Selector { metric: part(&self.selector.metric), matchers: self.selector.matchers.clone() };
        Self { selector, ..self.clone() }
    }

    /// The same time, so long ago.
    #[must_use]
    pub fn offset(mut self, offset: impl Into<String>) -> Self {
        self.offset = Some(offset.into());
        self
    }
}

impl<S: Into<Selector>> From<S> for Ranged {
    fn from(series: S) -> Self {
        series.into().over(RATE_INTERVAL)
    }
}

impl fmt::Display for Ranged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.selector, self.range)?;
        self.offset.iter().try_for_each(|offset| write!(formatter, " offset {offset}"))
    }
}
