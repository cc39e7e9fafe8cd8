//! What happens to a table's data before it is shown.

use serde_json::{Map, Value, json};

/// A step between the queries and the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Transformation {
    /// One row for what has the same labels in all queries.
    Merge,
    /// Leaves these columns out.
    Hide(Vec<String>),
    /// Gives columns other names: the old one, and the new one.
    Rename(Vec<(String, String)>),
    /// Sorts by a column.
    SortBy {
        /// Its name.
        column: String,
        /// Whether the largest come first.
        descending: bool,
    },
    /// Keeps only so many rows.
    Limit(u32),
}

impl Transformation {
    /// Leaves these columns out.
    pub fn hide<const N: usize>(columns: [&str; N]) -> Self {
        Self::Hide(columns.map(str::to_owned).into())
    }

    /// Gives columns other names.
    pub fn rename<const N: usize>(columns: [(&str, &str); N]) -> Self {
        Self::Rename(columns.map(|(old, new)| (old.to_owned(), new.to_owned())).into())
    }

    /// Sorts by a column, the largest first.
    pub fn largest_first(column: impl Into<String>) -> Self {
        Self::SortBy { column: column.into(), descending: true }
    }

    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Merge => json!({ "id": "merge", "options": {} }),
            Self::Hide(columns) => {
                let hidden: Map<String, Value> = columns.iter().map(|column| (column.clone(), true.into())).collect();
                json!({ "id": "organize", "options": { "excludeByName": hidden, "indexByName": {}, "renameByName": {} } })
            }
            Self::Rename(columns) => {
                let names: Map<String, Value> =
                    columns.iter().map(|(old, new)| (old.clone(), new.as_str().into())).collect();
                json!({ "id": "organize", "options": { "excludeByName": {}, "indexByName": {}, "renameByName": names } })
            }
            Self::SortBy { column, descending } => {
                json!({ "id": "sortBy", "options": { "sort": [{ "field": column, "desc": descending }] } })
            }
            Self::Limit(rows) => json!({ "id": "limit", "options": { "limitField": rows } }),
        }
    }
}
