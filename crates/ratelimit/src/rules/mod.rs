//! The rules: which descriptors have a limit, and which one.
//!
//! ```text
//! files (YAML) ─┐
//!               ├─▶ spec ─▶ compile ─▶ Rules: a tree for each domain ─▶ find(domain, descriptor) ─▶ Found
//! xDS (proto) ──┘
//! ```

mod compile;
mod files;
mod find;
mod pattern;
mod proto;
pub mod spec;
pub(crate) mod xds;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use envoy::Struct;

use crate::limit::Limit;
use pattern::Pattern;

pub use compile::{Place, Problem, compile};
pub use files::{Error, Loaded, load, read};
pub use find::{Found, How, Step};
pub use proto::{EXTENSION, domain as domain_of_proto};

/// All rules in force.
#[derive(Debug, Default)]
pub struct Rules {
    domains: HashMap<Box<str>, Node>,
    rules: Vec<Rule>,
}

/// One rule of the configuration.
#[derive(Debug)]
pub struct Rule {
    /// Its number in [`Rules::all`].
    pub index: usize,
    /// The domain.
    pub domain: Box<str>,
    /// Its place in the tree: `key_value.key`, in the reference's notation.
    pub path: Box<str>,
    /// Its name; empty for most.
    pub name: Box<str>,
    /// What it allows; `None` for everything (unlimited).
    pub limit: Option<Limit>,
    /// The names of rules that do not apply where this one does.
    pub replaces: Vec<Box<str>>,
    /// Whether it only counts, and lets through.
    pub shadow: bool,
    /// Whether it lets through, and says in the response's metadata that the limit is reached.
    pub quota: bool,
    /// Whether its metrics are kept apart by the values of all entries.
    pub detailed: bool,
    /// What it adds to the response's dynamic metadata.
    pub metadata: Option<Struct>,
}

/// A descriptor entry of the tree, or the root of a domain.
#[derive(Debug, Default)]
pub struct Node {
    rule: Option<usize>,
    children: HashMap<Box<str>, Values>,
    /// Whether metrics are kept apart by the values of this entry.
    value_to_metric: bool,
    /// Whether all values that match the pattern share one counter.
    shared: bool,
    /// Whether only a hash of the value goes into the store.
    hashed: bool,
}

/// The nodes of one key.
#[derive(Debug, Default)]
struct Values {
    exact: HashMap<Box<str>, Node>,
    /// The most specific first.
    patterns: Vec<(Pattern, Node)>,
    any: Option<Box<Node>>,
}

impl Rule {
    /// What metrics call it: its name, else its path.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { &self.path } else { &self.name }
    }
}

impl Rules {
    /// All rules, by their index.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is no domain at all.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The names of the domains, in order.
    pub fn domains(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.domains.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// One line for each rule, in the form of the reference's `/rlconfig`.
    pub fn dump(&self) -> String {
        let mut lines = BTreeMap::new();
        for rule in &self.rules {
            let (unit, requests) = match &rule.limit {
                Some(limit) => (limit.unit.to_string().to_uppercase(), limit.requests),
                None => ("UNKNOWN".to_owned(), 0),
            };
            let key = format!("{}.{}", rule.domain, rule.path);
            let line = format!(
                "{key}: unit={unit} requests_per_unit={requests}, shadow_mode: {}, quota_mode: {}\n",
                rule.shadow, rule.quota
            );
            lines.insert(key, line);
        }
        lines.into_values().collect()
    }
}
