//! The comparison itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fences::Fence;
use crate::workspace::{Dependency, Package};

/// `crates/rooms.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Crate → crates of ours that it may use; `*` is all.
    pub(super) rooms: BTreeMap<String, Vec<String>>,
    /// Crate → what its tests may use besides.
    #[serde(default)]
    pub(super) tests: BTreeMap<String, Vec<String>>,
    /// Third-party crates that are tied to rooms.
    #[serde(default)]
    pub(super) heavy: Vec<Heavy>,
    /// Lints that one room alone may switch off.
    #[serde(default)]
    pub(super) fences: Vec<Fence>,
}

/// Third-party crates and the rooms they may be in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heavy {
    pub(super) crates: Vec<String>,
    /// When not empty, only a dependency that asks for one of these features counts.
    #[serde(default)]
    pub(super) features: Vec<String>,
    pub(super) rooms: Vec<String>,
    pub(super) why: String,
}

/// Everything that is not as the table says: one sentence each, with what to do about it.
pub(super) fn broken_walls(table: &Table, packages: &[Package]) -> Vec<String> {
    let broken = packages.iter().flat_map(|package| {
        let Some(allowed) = table.rooms.get(&package.name) else {
            let name = &package.name;
            return vec![format!("{name} has no row in crates/rooms.toml: add one with the crates it may use")];
        };
        let dependencies = package.dependencies.iter();
        dependencies.filter_map(|dependency| broken_wall(table, package, allowed, dependency)).collect()
    });
    broken.collect()
}

fn broken_wall(table: &Table, package: &Package, allowed: &[String], dependency: &Dependency) -> Option<String> {
    let (room, used) = (&package.name, &dependency.name);
    let in_tests = dependency.kind.as_deref() == Some("dev");
    if dependency.path.is_none() {
        // What tests and build scripts use does not get into the program.
        let heavy = table.heavy.iter().find(|heavy| dependency.kind.is_none() && heavy.forbids(room, dependency))?;
        return Some(format!(
            "{room} uses {used}{}, which only {} may use ({}): take it out of crates/{room}/Cargo.toml, \
             or move the code that needs it",
            heavy.features_named(),
            heavy.rooms.join(", "),
            heavy.why
        ));
    }
    // A crate may name itself among its dev-dependencies, to test with a feature of its own.
    let test_extras =
        || used == room || used == "testbed" || table.tests.get(room).is_some_and(|more| more.contains(used));
    if allowed.iter().any(|name| name == used || name == "*") || (in_tests && test_extras()) {
        return None;
    }
    let row = if allowed.is_empty() { "no other room".to_owned() } else { allowed.join(", ") };
    let section = if in_tests { "dev-dependencies" } else { "dependencies" };
    Some(format!(
        "{room} uses {used}, but may use {row}: take {used} out of the {section} of crates/{room}/Cargo.toml; \
         if the house itself has changed, change crates/rooms.toml with it"
    ))
}

impl Heavy {
    fn forbids(&self, room: &str, dependency: &Dependency) -> bool {
        let asked =
            self.features.is_empty() || dependency.features.iter().any(|feature| self.features.contains(feature));
        asked && self.crates.contains(&dependency.name) && !self.rooms.iter().any(|name| name == room)
    }

    fn features_named(&self) -> String {
        if self.features.is_empty() {
            String::new()
        } else {
            format!(" with one of the features {}", self.features.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        [rooms]
        a = []
        b = ["a"]
        x = ["*"]
        testbed = []
        [tests]
        a = ["b"]
        [[heavy]]
        crates = ["kube"]
        features = ["client"]
        rooms = ["b"]
        why = "only b talks"
    "#;

    /// What the table says of one crate with one dependency, written as in `cargo metadata`.
    fn walls(room: &str, dependency: &str) -> Vec<String> {
        let package = format!(r#"{{"name":"{room}","dependencies":[{dependency}]}}"#);
        broken_walls(&toml::from_str(TABLE).unwrap(), &[serde_json::from_str(&package).unwrap()])
    }

    fn ours(name: &str, kind: &str) -> String {
        format!(r#"{{"name":"{name}","kind":{kind},"path":"/x"}}"#)
    }

    #[test]
    fn a_row_allows_what_it_names() {
        assert!(walls("b", &ours("a", "null")).is_empty());
        assert!(walls("x", &ours("b", "null")).is_empty());
        assert!(walls("a", &ours("b", "\"dev\"")).is_empty());
        assert!(walls("a", &ours("testbed", "\"dev\"")).is_empty());
        assert!(walls("a", &ours("a", "\"dev\"")).is_empty());
    }

    #[test]
    fn anything_else_is_named_with_what_to_do() {
        let broken = walls("a", &ours("b", "null"));
        assert!(
            broken[0].starts_with("a uses b, but may use no other room: take b out of the dependencies"),
            "{broken:?}"
        );
        assert_eq!(walls("b", &ours("testbed", "null")).len(), 1);
        assert_eq!(walls("b", &ours("x", "\"dev\"")).len(), 1);
        assert!(walls("new", &ours("a", "null"))[0].contains("has no row"));
    }

    #[test]
    fn heavy_crates_stay_in_their_rooms() {
        let kube = |features: &str, kind: &str| {
            format!(r#"{{"name":"kube","kind":{kind},"features":[{features}],"path":null}}"#)
        };
        assert!(walls("a", &kube("\"client\"", "null"))[0].contains("only b may use (only b talks)"));
        assert!(walls("a", &kube("\"derive\"", "null")).is_empty());
        assert!(walls("a", &kube("\"client\"", "\"dev\"")).is_empty());
        assert!(walls("a", &kube("\"client\"", "\"build\"")).is_empty());
        assert!(walls("b", &kube("\"client\"", "null")).is_empty());
    }
}
