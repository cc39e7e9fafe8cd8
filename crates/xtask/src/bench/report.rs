//! Figures as a table and as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measure {
    /// What was measured.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit, such as `ms`, `MiB`, `1/s`.
    pub(crate) unit: Cow<'static, str>,
    /// The same figure of what it is compared to, in the same unit.
    pub(crate) peer: Option<f64>,
    /// `value / peer`.
    pub(crate) ratio: Option<f64>,
}

impl Measure {
    /// A figure that stands alone.
    pub(crate) fn alone(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit: unit.into(), peer: None, ratio: None }
    }

    /// A figure and what it is compared to.
    pub(crate) fn against(name: impl Into<String>, value: f64, unit: &'static str, peer: f64) -> Self {
        // Nothing is a multiple of nothing.
        let ratio = (peer != 0.0).then(|| value / peer);
        Self { peer: Some(peer), ratio, ..Self::alone(name, value, unit) }
    }
}

/// A table for people.
pub(super) fn table(measures: &[Measure]) -> String {
    let width = measures.iter().map(|measure| measure.name.len()).max().unwrap_or(0).max(4);
    let mut table = format!("{:width$}  {:>12}  {:6}  {:>12}  {:>8}\n", "name", "value", "unit", "peer", "ratio");
    for measure in measures {
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        let Measure { name, value, unit, peer, ratio } = measure;
        table.push_str(&format!("{name:width$}  {value:>12.2}  {unit:6}  {:>12}  {:>8}\n", cell(*peer), cell(*ratio)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_five_fields_and_the_table_lines_up() {
        let measures = [Measure::alone("a", 1.5, "ms"), Measure::against("long name", 3.0, "ms", 2.0)];
        let json = serde_json::to_string(&measures).unwrap();
        assert!(json.starts_with(r#"[{"name":"a","value":1.5,"unit":"ms","peer":null,"ratio":null}"#), "{json}");
        assert!(json.contains(r#""peer":2.0,"ratio":1.5"#));
        let table = table(&measures);
        assert!(
            table.lines().all(|line| line.chars().count() == table.lines().next().unwrap().chars().count()),
            "{table}"
        );
    }
}
