//! `portcullis-exporter metrics`: the catalogue, as documentation has it.

use std::fmt::Write as _;

use kit::metrics::{Described as _, Kind};

use crate::metrics::Name;

/// A table in Markdown.
pub(super) fn table() -> String {
    let mut text = "| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for metric in Name::ALL {
        let (name, help, labels) = metric.describe();
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_the_catalogue_as_it_is() {
        let guide = include_str!("../../../../docs/observability.md");
        let (_, rest) = guide.split_once("<!-- portcullis-exporter metrics -->\n").unwrap();
        let (shown, _) = rest.split_once("<!-- end -->").unwrap();
        assert_eq!(shown, table(), "put the output of `portcullis-exporter metrics` there");
    }
}
