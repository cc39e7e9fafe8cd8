//! Where resources come from.

pub mod file;
pub mod problem;

use std::sync::Arc;

use api::Resources;

pub use problem::{Problem, Severity};

/// What a source has read so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The resources that are in force.
    pub resources: Resources,
    /// What is wrong with the documents, ordered by file and line.
    pub problems: Arc<[Problem]>,
}
