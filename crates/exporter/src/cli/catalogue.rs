//! `portcullis-exporter metrics`: the catalogue, as documentation has it.

use std::fmt::Write as _;

use kit::metrics::{Described as _, Kind};

use crate::metrics::{Name, ROUTE};

/// A list in Markdown. The labels that all metrics of routes have are told once.
pub(super) fn list() -> String {
    let mut text = format!("Labels *of a route* are {}.\n\n", quoted(ROUTE).join(", "));
    for metric in Name::ALL {
        let (name, help, labels) = metric.describe();
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels = match labels.strip_prefix(ROUTE) {
            Some(more) => ["*of a route*".to_owned()].into_iter().chain(quoted(more)).collect(),
            None => quoted(labels),
        };
        let labels = if labels.is_empty() { String::new() } else { format!(": {}", labels.join(", ")) };
        // Writing to a string does not fail.
        let _ = write!(text, "- `{name}` ({kind}{labels})\\\n  {help}\n");
    }
    text
}

fn quoted(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| format!("`{label}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_the_catalogue_as_it_is() {
        let guide = include_str!("../../../../docs/observability.md");
        let (_, rest) = guide.split_once("<!-- portcullis-exporter metrics -->\n").unwrap();
        let (shown, _) = rest.split_once("<!-- end -->").unwrap();
        assert_eq!(shown, list(), "put the output of `portcullis-exporter metrics` there");
    }
}
