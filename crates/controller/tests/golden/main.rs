//! Golden cases: resources in, their status and Envoy's resources out, every output taken by the real Envoy.
//!
//! A case is a directory `<topic>/<case>` with `in.yaml`, to which `<topic>/base.yaml` is added where there is one, and
//! what comes out beside it: `status.yaml`, `xds.yaml`, and `bootstrap.yaml` in the topic of that name. Outputs are
//! trimmed, see [`trim`]. Placeholders for certificates and secrets are explained in [`material`].
//!
//! ```text
//! cargo test -p controller --test golden                    compares
//! UPDATE_GOLDEN=1 cargo test -p controller --test golden    writes what comes out: read the diff
//! GOLDEN=httproute/redirect cargo test …                    only cases whose name begins so
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod case;
mod compare;
mod material;
mod outcome;
mod trim;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use case::Case;

/// How many Envoys judge at a time.
const THREADS: usize = 2;

#[test]
fn every_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let wanted = std::env::var("GOLDEN").unwrap_or_default();
    let cases: VecDeque<Case> = cases(&root).into_iter().filter(|case| case.name.starts_with(&wanted)).collect();
    assert!(!cases.is_empty(), "there is no case whose name begins with {wanted:?}");
    let count = cases.len();
    let (queue, failures) = (Mutex::new(cases), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else { break };
                    let problems = case.run();
                    if !problems.is_empty() {
                        failures.lock().unwrap().push((case.name, problems.join("\n")));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    for (name, problems) in &failures {
        eprintln!("==== {name}\n{problems}\n");
    }
    assert!(failures.is_empty(), "{} of {count} cases fail", failures.len());
}

/// All cases, by name.
fn cases(root: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for topic in directories(root) {
        let base = std::fs::read_to_string(topic.join("base.yaml")).unwrap_or_default();
        for directory in directories(&topic) {
            cases.push(Case::read(root, directory, &base));
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn directories(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}
