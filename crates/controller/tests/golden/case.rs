//! One case: what goes in, and what is asked of what comes out.

use std::path::{Path, PathBuf};

use crate::{compare, material::Material, outcome::Outcome, trim};

/// The most lines that an output may have, so that it is read.
const MOST_LINES: usize = 150;
/// The topic whose cases show Envoy's bootstrap too.
const BOOTSTRAP: &str = "bootstrap/";

/// A directory with `in.yaml`.
pub(crate) struct Case {
    /// `topic/case`.
    pub(crate) name: String,
    directory: PathBuf,
    text: String,
}

impl Case {
    /// Reads the input of a case.
    pub(crate) fn read(root: &Path, directory: PathBuf, base: &str) -> Self {
        let name = directory.strip_prefix(root).unwrap().display().to_string();
        let own = std::fs::read_to_string(directory.join("in.yaml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { text: format!("{base}\n---\n{own}"), name, directory }
    }

    /// Everything that is wrong.
    pub(crate) fn run(&self) -> Vec<String> {
        let material = Material::of(&self.text);
        let text = material.fill(&self.text);
        let outcome = Outcome::of(&text);
        let mut problems = self.compare(&outcome, &material);
        problems.extend(material.leaks(&outcome.shown()));
        problems.extend(outcome.bootstraps().iter().filter_map(|bootstrap| {
            testbed::envoy::validate(&bootstrap.to_string()).err().map(|words| format!("Envoy says:\n{words}"))
        }));
        if Outcome::of(&backwards(&text)).fingerprint() != outcome.fingerprint() {
            problems.push("the same documents in another order come to something else".to_owned());
        }
        problems
    }

    fn compare(&self, outcome: &Outcome, material: &Material) -> Vec<String> {
        let mut files = vec![("status.yaml", trim::status(outcome)), ("xds.yaml", trim::xds(outcome, material))];
        if self.name.starts_with(BOOTSTRAP) {
            files.push(("bootstrap.yaml", trim::bootstrap(outcome)));
        }
        let mut problems = Vec::new();
        for (file, text) in files {
            let lines = text.lines().count();
            if lines > MOST_LINES {
                problems.push(format!("{file} has {lines} lines: more than {MOST_LINES} are not read, split the case"));
            }
            problems.extend(compare::file(&self.directory.join(file), &text));
        }
        problems
    }
}

/// The same documents, the last one first.
fn backwards(text: &str) -> String {
    let mut documents: Vec<&str> = text.split("\n---\n").collect();
    documents.reverse();
    documents.join("\n---\n")
}
