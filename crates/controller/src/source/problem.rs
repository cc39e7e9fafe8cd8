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

/// Something to say about a place in a file. Its author mends it.
///
/// Shown as `file:line: Kind namespace/name: field: what`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file, as it was named by the user.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the whole file is meant.
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
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        for part in [&self.object, &self.field, &self.what] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}
