//! Configuration files: YAML or JSON text to typed values, with errors that name file, line, column, field and what is allowed.
//!
//! ```text
//! text ─▶ split (documents) ─▶ tree (nodes with places) ─▶ de (serde, unknown fields, field paths) ─▶ T or Finding
//! ```
//!
//! Types say `#[serde(deny_unknown_fields)]` where an unknown field is an error; where they do not,
//! [`Document::read`] returns the unknown fields, so that they can be reported. An explicit null counts as absent.
//! `#[serde(flatten)]` and untagged enums read through a buffer: their errors carry the place of the whole value only.

mod de;
mod files;
mod path;
mod split;
mod text;
mod tree;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use files::files;
pub use split::{Chunk, split};
pub use text::text;
pub use tree::Position;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

/// Why a configuration could not be loaded. Mended by whoever wrote the file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {file}: {why}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        why: Arc<io::Error>,
    },
    /// The content is wrong.
    #[error("{0}")]
    Invalid(Box<Finding>),
    /// An environment variable is wrong.
    #[error("the environment variable {name} {what}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with its value, and what is allowed.
        what: String,
    },
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Self {
        Self::Invalid(Box::new(finding))
    }
}

/// Something to say about a place in a file; shown as `file:line:column: field: what`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named by the user.
    pub file: Arc<str>,
    /// The place, when it is known.
    pub at: Option<Position>,
    /// The field's path (`spec.rules[2].path`); empty for the document itself.
    pub field: String,
    /// What is wrong and what is allowed.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(formatter, ":{}:{}", at.line, at.column)?;
        }
        if !self.field.is_empty() {
            write!(formatter, ": {}", self.field)?;
        }
        write!(formatter, ": {}", self.what)
    }
}

/// One parsed YAML document.
#[derive(Debug, Clone)]
pub struct Document {
    file: Arc<str>,
    lines_before: usize,
    root: tree::Node,
}

impl Document {
    /// Parses one chunk of the file named `file`.
    pub fn parse(file: &Arc<str>, chunk: &Chunk<'_>) -> Result<Self, Finding> {
        let lines_before = chunk.lines_before;
        match tree::parse(chunk.text) {
            Ok(root) => Ok(Self { file: Arc::clone(file), lines_before, root }),
            Err(unreadable) => Err(Finding {
                file: Arc::clone(file),
                at: unreadable.at.map(|at| shifted(at, lines_before)),
                field: String::new(),
                what: unreadable.what,
            }),
        }
    }

    /// The value as `T`, and the fields that `T` does not know (empty where it denies them).
    pub fn read<T: DeserializeOwned>(&self) -> Result<(T, Vec<Finding>), Finding> {
        let unknown = RefCell::default();
        match T::deserialize(de::Reader::root(&self.root, &unknown)) {
            Ok(value) => Ok((value, unknown.into_inner().into_iter().map(|fault| self.placed(fault)).collect())),
            Err(error) => Err(self.placed(*error.0)),
        }
    }

    /// The value as JSON, nulls kept.
    pub fn to_json(&self) -> serde_json::Value {
        self.root.to_json()
    }

    /// The line where the document's content begins, from 1.
    pub fn line(&self) -> usize {
        self.root.at.line + self.lines_before
    }

    /// A finding about the field at `field` (`a.b[0].c`), placed at that field or at the nearest one around it that is
    /// written in the file.
    pub fn finding(&self, field: &str, what: impl Into<String>) -> Finding {
        Finding {
            file: Arc::clone(&self.file),
            at: Some(self.position(field)),
            field: field.to_owned(),
            what: what.into(),
        }
    }

    /// Where the field at `field` is written, or the nearest one around it.
    pub fn position(&self, field: &str) -> Position {
        let (mut node, mut at) = (&self.root, self.root.at);
        for step in path::steps(field) {
            match (step, &node.value) {
                (path::Step::Key(key), _) => {
                    let Some(entry) = node.get(key) else { break };
                    (node, at) = (&entry.value, entry.key_at);
                }
                (path::Step::Index(index), tree::Value::List(items)) => {
                    let Some(item) = items.get(index) else { break };
                    (node, at) = (item, item.at);
                }
                (path::Step::Index(_), _) => break,
            }
        }
        shifted(at, self.lines_before)
    }

    fn placed(&self, fault: de::Fault) -> Finding {
        Finding {
            file: Arc::clone(&self.file),
            at: fault.at.map(|at| shifted(at, self.lines_before)),
            field: fault.field,
            what: fault.what,
        }
    }
}

/// All documents of a text, each parsed alone: a broken one is a finding, the others stay.
pub fn documents(file: &str, text: &str) -> Vec<Result<Document, Finding>> {
    let file = Arc::from(file);
    split(text).iter().map(|chunk| Document::parse(&file, chunk)).collect()
}

/// Reads the text of a file of at most [`MAX_FILE`] bytes.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let failed = |why| Error::Read { file: path.display().to_string(), why: Arc::new(why) };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(failed(io::Error::other(format!("{size} bytes, at most {MAX_FILE} are read"))));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The only document of a text; a text without one counts as an empty mapping, more than one is an error.
pub fn single(file: &str, text: &str) -> Result<Document, Finding> {
    let file: Arc<str> = Arc::from(file);
    match *split(text) {
        [] => Document::parse(&file, &Chunk { lines_before: 0, text: "{}" }),
        [ref chunk] => Document::parse(&file, chunk),
        [_, ref second, ..] => Err(Finding {
            file,
            at: Some(Position { line: second.lines_before + 1, column: 1 }),
            field: String::new(),
            what: "a second document begins here, only one is allowed in this file".to_owned(),
        }),
    }
}

/// Loads the one document of a file. A field that `T` ignores is an error too.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    Ok(parse(&path.display().to_string(), &read_text(path)?)?)
}

/// As [`load`], from a text that was read already; `file` is its name in errors.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Finding> {
    let (value, unknown) = single(file, text)?.read()?;
    match unknown.into_iter().next() {
        Some(finding) => Err(finding),
        None => Ok(value),
    }
}

fn shifted(at: Position, lines: usize) -> Position {
    Position { line: at.line + lines, ..at }
}

/// `allowed: a, b, c` for the errors of unknown fields and values.
fn allowed(names: &[&str]) -> String {
    match names {
        [] => "none is allowed here".to_owned(),
        names => format!("allowed: {}", names.join(", ")),
    }
}
