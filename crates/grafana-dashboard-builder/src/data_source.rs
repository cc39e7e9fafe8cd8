//! Where queries go.

use serde_json::{Value, json};

/// A data source: its kind, and its uid or the variable that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSource {
    kind: String,
    uid: String,
}

impl DataSource {
    /// The kind of data source as Grafana names its plugin, such as `loki`, and its uid, or a variable such as `${logs}`.
    pub fn new(kind: impl Into<String>, uid: impl Into<String>) -> Self {
        Self { kind: kind.into(), uid: uid.into() }
    }

    /// A Prometheus, by uid or variable.
    pub fn prometheus(uid: impl Into<String>) -> Self {
        Self::new("prometheus", uid)
    }

    /// Grafana itself, which knows the annotations that people made.
    pub(crate) fn grafana() -> Self {
        Self::new("grafana", "-- Grafana --")
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "type": self.kind, "uid": self.uid })
    }
}

impl Default for DataSource {
    /// The Prometheus that the variable `datasource` holds.
    fn default() -> Self {
        Self::prometheus("${datasource}")
    }
}
