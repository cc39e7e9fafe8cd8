//! A query of a panel.

use serde_json::{Value, json};

use crate::DataSource;
use crate::promql::Expr;

/// A query and how its series are called.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) query: Expr,
    legend: String,
    exemplars: bool,
    /// Where it goes, if not where all of the dashboard go. What isn't PromQL isn't checked.
    source: Option<DataSource>,
}

/// The shape that a panel takes its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Series over time.
    Series,
    /// Buckets over time.
    Buckets,
    /// One value a series, now.
    Values,
    /// Lines of a log.
    Lines,
}

impl Target {
    /// A query of PromQL. `legend` names each of its series and may use labels, as `{{route}}`; empty, Grafana chooses.
    pub fn new(query: impl Into<Expr>, legend: impl Into<String>) -> Self {
        Self { query: query.into(), legend: legend.into(), exemplars: false, source: None }
    }

    /// A query in the language of another data source.
    pub fn of(source: DataSource, query: impl Into<String>) -> Self {
        Self { source: Some(source), ..Self::new(query.into(), "") }
    }

    /// Shows the traces that are attached to the samples.
    #[must_use]
    pub fn exemplars(mut self) -> Self {
        self.exemplars = true;
        self
    }

    pub(crate) fn is_promql(&self) -> bool {
        self.source.is_none()
    }

    /// The data source, if it has one of its own.
    pub(crate) fn source(&self) -> Option<&DataSource> {
        self.source.as_ref()
    }

    pub(crate) fn json(&self, index: usize, shape: Shape, source: &DataSource) -> Value {
        let source = self.source.as_ref().unwrap_or(source);
        let mut json = json!({ "refId": letter(index), "datasource": source.json(), "expr": self.query.to_string() });
        if shape == Shape::Lines {
            return json;
        }
        let (format, now) = match shape {
            Shape::Series | Shape::Lines => ("time_series", false),
            Shape::Buckets => ("heatmap", false),
            Shape::Values => ("table", true),
        };
        let legend = if self.legend.is_empty() { "__auto" } else { &self.legend };
        json["format"] = format.into();
        json["instant"] = now.into();
        json["range"] = (!now).into();
        json["legendFormat"] = legend.into();
        json["editorMode"] = "code".into();
        if self.exemplars {
            json["exemplar"] = true.into();
        }
        json
    }
}

/// The letter that a query is known by in its panel: A, B, … Z, AA.
pub(crate) fn letter(index: usize) -> String {
    let last = char::from(b'A' + u8::try_from(index % 26).expect("a remainder is small"));
    if index < 26 { last.to_string() } else { format!("{}{last}", letter(index / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(super::letter), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }
}
