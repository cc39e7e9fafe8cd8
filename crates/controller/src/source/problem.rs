//! What is wrong with a document, where, and whose it is.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The document is not applied.
    Error,
    /// The document is applied, but not all that it says.
    Warning,
    /// The document is none of our business.
    Note,
}

/// Something to say about a place in a file, or about an object of a cluster. Its author mends it.
///
/// Shown as `file:line: Kind namespace/name: field: what`, without the place where there is no file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file, as it was named by the user; `None` for what stands in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
    /// The line, from 1; 0 when the whole file is meant, or there is none.
    #[serde(default)]
    pub line: usize,
    /// How bad it is.
    pub severity: Severity,
    /// `Kind namespace/name` as far as it is known, or empty.
    pub object: String,
    /// The path of the field, or empty.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl Problem {
    /// The same problem, `lines` lines further down.
    #[must_use]
    pub(crate) fn lower(mut self, lines: usize) -> Self {
        self.line += lines;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.file {
            Some(file) if self.line > 0 => format!("{file}:{}", self.line),
            Some(file) => file.to_string(),
            None => String::new(),
        };
        let parts = [&place, &self.object, &self.field, &self.what];
        for (index, part) in parts.into_iter().filter(|part| !part.is_empty()).enumerate() {
            f.write_str(if index > 0 { ": " } else { "" })?;
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// `field: what` of a parse error; the field may be missing.
pub(super) fn split_field(text: &str) -> (&str, &str) {
    match text.split_once(": ") {
        Some((field, what)) if !field.contains([' ', '`']) => (field, what),
        _ => ("", text),
    }
}
