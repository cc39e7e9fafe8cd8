//! Offline validation: what the API server would refuse, told before anything is applied.
//!
//! ```text
//! extension resources ─▶ the schema and CEL rules of their generated CRD ─┐
//! Gateway API ─────────▶ tables of what its specification asks for ───────┼─▶ Node tree ─▶ violations
//! all kinds ───────────▶ names, namespaces, labels ───────────────────────┘
//! ```
//!
//! A tree is made once a kind; checking walks the document beside it. The Gateway API's own CEL rules are plain
//! functions here, as they are run for each changed route: a function costs nanoseconds, a CEL rule microseconds.

mod check;
mod crd;
mod format;
mod node;
mod standard;
#[cfg(test)]
mod tests;

use std::{fmt, sync::OnceLock};

use serde_json::Value;

use self::{crd::CelRules, node::Node};
use crate::{KINDS, Kind};

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The field, such as `spec.listeners[0].port`.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Checks a document against all that its kind asks for; nothing is found in a good one.
///
/// It's meant for documents that [`crate::parse()`] could read: of the Gateway API's and Kubernetes' own kinds it does
/// not look at the types of fields again.
pub fn check(document: &Value, kind: &'static Kind) -> Vec<Violation> {
    static CHECKERS: [OnceLock<Checker>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];
    let row = KINDS.iter().position(|row| row.kind == kind.kind && row.group == kind.group);
    let checker = row.map(|row| CHECKERS[row].get_or_init(|| Checker::new(kind)));
    checker.map_or_else(Vec::new, |checker| checker.check(document))
}

/// All that one kind asks for.
struct Checker {
    root: Node,
    rules: Option<CelRules>,
}

impl Checker {
    fn new(kind: &Kind) -> Self {
        let (mut root, rules) = crd::of(kind).unwrap_or_else(|| (standard::of(kind), None));
        standard::add_metadata(&mut root, kind);
        Self { root, rules }
    }

    fn check(&self, document: &Value) -> Vec<Violation> {
        let found = self.root.check(document);
        // As on the API server: rules may rely on the schema, so they aren't asked about what breaks it.
        match &self.rules {
            Some(rules) if found.is_empty() => rules.check(document),
            _ => found,
        }
    }
}
