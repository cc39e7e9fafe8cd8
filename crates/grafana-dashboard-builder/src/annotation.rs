//! Marks in time on all panels of a dashboard.

use serde_json::{Value, json};

use crate::promql::Expr;
use crate::{Color, DataSource};

/// A query whose results are marked on the time axis.
#[derive(Debug, Clone)]
pub struct Annotation {
    pub(crate) name: String,
    pub(crate) query: Expr,
    title: String,
    color: Color,
}

impl Annotation {
    /// Marks the times at which `query` has a value other than nothing; `title` may name labels, as `{{instance}}`.
    pub fn new(name: impl Into<String>, query: impl Into<Expr>, title: impl Into<String>) -> Self {
        Self { name: name.into(), query: query.into(), title: title.into(), color: Color::Blue }
    }

    /// The colour of the marks.
    #[must_use]
    pub fn color(mut self, color: Color) -> Self {
        self.color = color;
        self
    }

    pub(crate) fn json(&self, source: &DataSource) -> Value {
        json!({
            "name": self.name, "datasource": source.json(), "expr": self.query.to_string(), "titleFormat": self.title,
            "iconColor": self.color.name(), "enable": true, "hide": false, "tagKeys": "", "textFormat": "",
            "useValueForTime": false,
        })
    }

    /// What people and Grafana's own alerts have marked.
    pub(crate) fn built_in() -> Value {
        json!({
            "name": "Annotations & Alerts", "datasource": DataSource::grafana().json(), "builtIn": 1, "enable": true, "hide": true,
            "iconColor": "rgba(0, 211, 255, 1)", "type": "dashboard",
        })
    }
}
