//! What people choose at the top of a dashboard.

use serde_json::{Value, json};

use crate::DataSource;
use crate::promql::Selector;

/// A variable of a dashboard: `$name` in queries, titles and links.
#[derive(Debug, Clone)]
pub struct Variable {
    pub(crate) name: String,
    label: Option<String>,
    kind: Kind,
    many: bool,
    hidden: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    DataSource(String),
    Labels { series: String, label: String },
    Custom(Vec<String>),
    Interval(Vec<String>),
    TextBox(String),
}

impl Variable {
    /// A data source of a kind, such as `prometheus`. Dashboards look for their own in the variable `datasource`.
    pub fn data_source(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self::new(name, Kind::DataSource(kind.into()))
    }

    /// The values that a label has in series.
    pub fn label_values(name: impl Into<String>, series: impl Into<Selector>, label: impl Into<String>) -> Self {
        Self::new(name, Kind::Labels { series: series.into().to_string(), label: label.into() })
    }

    /// One of these values, the first one at the beginning.
    pub fn custom<const N: usize>(name: impl Into<String>, values: [&str; N]) -> Self {
        Self::new(name, Kind::Custom(values.map(str::to_owned).into()))
    }

    /// One of these durations, the first one at the beginning.
    pub fn interval<const N: usize>(name: impl Into<String>, durations: [&str; N]) -> Self {
        Self::new(name, Kind::Interval(durations.map(str::to_owned).into()))
    }

    /// Whatever is typed.
    pub fn text_box(name: impl Into<String>, content: impl Into<String>) -> Self {
        Self::new(name, Kind::TextBox(content.into()))
    }

    fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), label: None, kind, many: false, hidden: false }
    }

    /// What it's called on the page, instead of its name.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Several may be chosen, all of them at the beginning. Queries have to match it as a regular expression. All are also those
    /// without the label, so a label that nobody has hides nothing.
    #[must_use]
    pub fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// It's not on the page, and can be set by links only.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The query for its values, if there is one.
    pub(crate) fn series(&self) -> Option<&str> {
        if let Kind::Labels { series, .. } = &self.kind { Some(series) } else { None }
    }

    /// The label whose values it has, if it is of that kind.
    pub(crate) fn label_of_series(&self) -> Option<&str> {
        if let Kind::Labels { label, .. } = &self.kind { Some(label) } else { None }
    }

    pub(crate) fn json(&self, source: &DataSource) -> Value {
        let mut json = self.of_kind(source);
        json["name"] = self.name.as_str().into();
        json["label"] = self.label.as_deref().unwrap_or(&self.name).into();
        json["hide"] = if self.hidden { 2 } else { 0 }.into();
        json["skipUrlSync"] = false.into();
        if !matches!(self.kind, Kind::TextBox(_) | Kind::Interval(_)) {
            json["multi"] = self.many.into();
            json["includeAll"] = self.many.into();
        }
        if self.many {
            json["allValue"] = ".*".into();
            json["current"] = json!({ "text": ["All"], "value": ["$__all"] });
        }
        json
    }

    fn of_kind(&self, source: &DataSource) -> Value {
        match &self.kind {
            Kind::DataSource(kind) => {
                json!({ "type": "datasource", "query": kind, "regex": "", "refresh": 1, "options": [], "current": {} })
            }
            Kind::Labels { series, label } => {
                let query = format!("label_values({series}, {label})");
                json!({
                    "type": "query", "datasource": source.json(), "definition": query, "regex": "", "refresh": 2, "sort": 1,
                    "query": { "qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery" },
                    "options": [], "current": {},
                })
            }
            Kind::Custom(values) => {
                json!({ "type": "custom", "query": values.join(","), "options": options(values), "current": current(values) })
            }
            Kind::Interval(durations) => json!({
                "type": "interval", "query": durations.join(","), "options": options(durations), "current": current(durations),
                "auto": false, "auto_count": 30, "auto_min": "10s", "refresh": 2,
            }),
            Kind::TextBox(content) => {
                let content = [content.clone()];
                json!({ "type": "textbox", "query": content[0], "options": options(&content), "current": current(&content) })
            }
        }
    }
}

fn options(values: &[String]) -> Vec<Value> {
    let option = |(index, value)| json!({ "text": value, "value": value, "selected": index == 0 });
    values.iter().enumerate().map(option).collect()
}

fn current(values: &[String]) -> Value {
    values.first().map_or_else(|| json!({}), |value| json!({ "text": value, "value": value }))
}
