//! A tree of what must hold at each place of a document.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use super::{Violation, check::Check};

/// What must hold at one place of a document, and below it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) checks: Vec<Check>,
    pub(super) fields: BTreeMap<String, Node>,
    /// The items of a list.
    pub(super) items: Option<Box<Node>>,
    /// The values of a map.
    pub(super) values: Option<Box<Node>>,
}

/// One row of a table: where, and what must hold there. `a.b[]` are the items of a list, `a.b{}` the values of a map.
pub(super) type Row = (String, Check);

impl Node {
    /// The tree of a table.
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let mut root = Self::default();
        for (path, check) in rows {
            root.at(&path).checks.push(check);
        }
        root
    }

    /// The place that a path names; it's made if it isn't there.
    pub(super) fn at(&mut self, path: &str) -> &mut Self {
        path.split('.').filter(|step| !step.is_empty()).fold(self, |node, step| {
            let name = step.trim_end_matches(['[', ']', '{', '}']);
            let field = node.fields.entry(name.to_owned()).or_default();
            match &step[name.len()..] {
                "[]" => field.items.get_or_insert_default(),
                "{}" => field.values.get_or_insert_default(),
                _ => field,
            }
        })
    }

    /// What is wrong with a document.
    pub(super) fn check(&self, document: &Value) -> Vec<Violation> {
        let mut report = Report { path: Vec::new(), found: Vec::new() };
        self.walk(document, &mut report);
        report.found
    }

    fn walk<'a>(&self, value: &'a Value, report: &mut Report<'a>) {
        for check in &self.checks {
            check.run(value, report);
        }
        match value {
            Value::Object(fields) => {
                // An explicit null is the same as no field.
                for (name, field) in fields.iter().filter(|(_, field)| !field.is_null()) {
                    let Some(node) = self.fields.get(name).or(self.values.as_deref()) else { continue };
                    report.path.push(Step::Field(name));
                    node.walk(field, report);
                    report.path.pop();
                }
            }
            Value::Array(items) => {
                let Some(node) = &self.items else { return };
                for (index, item) in items.iter().enumerate() {
                    report.path.push(Step::Index(index));
                    node.walk(item, report);
                    report.path.pop();
                }
            }
            _ => {}
        }
    }
}

/// What was found so far, and the place that is looked at.
pub(super) struct Report<'a> {
    path: Vec<Step<'a>>,
    found: Vec<Violation>,
}

enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl Report<'_> {
    /// Something is wrong here, or at a place below: `""`, `name`, `[1].name`.
    pub(super) fn add(&mut self, below: &str, message: impl Into<String>) {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                // Writing to a string cannot fail.
                Step::Index(index) => _ = write!(path, "[{index}]"),
            }
        }
        if !path.is_empty() && !below.is_empty() && !below.starts_with('[') {
            path.push('.');
        }
        path.push_str(below);
        self.found.push(Violation { path, message: message.into() });
    }
}
