//! Where resources come from.

pub(crate) mod examine;
pub mod file;
pub mod kube;
pub mod problem;

use std::sync::Arc;

use api::Resources;

pub use problem::{Problem, Severity};

/// What a source has read so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The resources that are in force.
    pub resources: Resources,
    /// What is wrong with the documents, ordered by file and line, or by object.
    pub problems: Arc<[Problem]>,
}

/// Logs the problems that are new.
pub(crate) fn tell_problems(new: &Seen, old: &Seen) {
    for problem in new.problems.iter().filter(|problem| !old.problems.contains(problem)) {
        match problem.severity {
            Severity::Error => tracing::error!(component = "provider", "{problem}"),
            Severity::Note => tracing::info!(component = "provider", "{problem}"),
            Severity::Warning => tracing::warn!(component = "provider", "{problem}"),
        }
    }
}
