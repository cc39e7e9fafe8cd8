//! The metrics that there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::promql::{Metric, Parsed, Used};

/// What the parts of a classic histogram are called.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Labels that Prometheus gives to every series.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// The metrics that there are, so that queries for others are errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    metrics: BTreeMap<String, BTreeSet<String>>,
    of_targets: BTreeSet<String>,
}

impl Catalogue {
    /// A catalogue of these metrics.
    pub fn new(metrics: impl IntoIterator<Item = Metric>) -> Self {
        Self { of_targets: OF_PROMETHEUS.map(str::to_owned).into(), ..Self::default() }.and(metrics)
    }

    /// With these metrics as well.
    #[must_use]
    pub fn and(mut self, metrics: impl IntoIterator<Item = Metric>) -> Self {
        for metric in metrics {
            let labels = self.metrics.entry(metric.name().to_owned()).or_default();
            labels.extend(metric.labels().iter().map(|&label| label.to_owned()));
        }
        self
    }

    /// Labels that series get from the targets they come from, beside `instance` and `job`.
    #[must_use]
    pub fn labels_of_targets<const N: usize>(mut self, labels: [&str; N]) -> Self {
        self.of_targets.extend(labels.map(str::to_owned));
        self
    }

    /// What of a query is not here.
    pub(crate) fn unknown(&self, query: &Parsed) -> Vec<String> {
        let mut unknown: Vec<String> = query.used.iter().filter_map(|used| self.unknown_in(used)).collect();
        if query.makes_labels || !unknown.is_empty() {
            return unknown;
        }
        for label in &query.grouped {
            let known = |used: &Used| self.labels(used.name.as_deref()).is_some_and(|of| of.has(label));
            if !query.used.iter().any(known) {
                unknown.push(format!("no metric of the query has the label `{label}`"));
            }
        }
        unknown
    }

    fn unknown_in(&self, used: &Used) -> Option<String> {
        let name = used.name.as_deref()?;
        let Some(labels) = self.labels(Some(name)) else {
            return Some(format!("the catalogue has no metric `{name}`"));
        };
        let strange = used.labels.iter().find(|label| !labels.has(label))?;
        Some(format!("`{name}` has no label `{strange}`"))
    }

    /// The labels of a metric or of a histogram's part. Without a name, any metric may be meant.
    fn labels<'a>(&'a self, name: Option<&str>) -> Option<Labels<'a>> {
        let Some(name) = name else { return Some(Labels { own: None, of_targets: &self.of_targets, bucket: true }) };
        let base = || PARTS.iter().find_map(|part| self.metrics.get(name.strip_suffix(part)?));
        let own = self.metrics.get(name).or_else(base)?;
        Some(Labels { own: Some(own), of_targets: &self.of_targets, bucket: name.ends_with("_bucket") })
    }
}

struct Labels<'a> {
    own: Option<&'a BTreeSet<String>>,
    of_targets: &'a BTreeSet<String>,
    bucket: bool,
}

impl Labels<'_> {
    fn has(&self, label: &str) -> bool {
        let own = self.own.is_none_or(|labels| labels.contains(label));
        own || self.of_targets.contains(label) || self.bucket && label == "le"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn strange_names_and_labels_are_named() {
        let catalogue =
            Catalogue::new([Metric::new("a_total", &["b"]), Metric::new("h", &["b"])]).labels_of_targets(["pod"]);
        let unknown = |query: &str| catalogue.unknown(&parse(query).unwrap()).join("; ");
        assert_eq!(unknown(r#"sum by (pod, job, b) (rate(a_total{b="x"}[5m]))"#), "");
        assert_eq!(unknown("sum by (le) (rate(h_bucket[5m])) / h_sum - h_count"), "");
        assert_eq!(unknown("b_total"), "the catalogue has no metric `b_total`");
        assert_eq!(unknown("a_totals"), "the catalogue has no metric `a_totals`");
        assert_eq!(unknown(r#"a_total{c="x"}"#), "`a_total` has no label `c`");
        assert_eq!(unknown("sum by (le) (a_total)"), "no metric of the query has the label `le`");
        assert_eq!(unknown(r#"sum by (c) (label_replace(a_total, "c", "$1", "b", "(.*)"))"#), "");
    }
}
