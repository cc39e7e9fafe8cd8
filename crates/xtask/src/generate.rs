//! Files that are made from code: `cargo xtask gen` writes them, `--check` says which ones are out of date.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::root;

/// One family of generated files.
struct Generator {
    /// What they are, for messages.
    what: &'static str,
    /// Makes them: path below the top of the tree, and content.
    make: fn() -> Result<Vec<(String, String)>>,
}

/// Every generator there is. To add one, add a line.
const GENERATORS: &[Generator] = &[
    Generator { what: "the table of walls", make: crate::rooms::page },
    Generator { what: "the manifests of an installation", make: crate::install::files },
    Generator { what: "dashboards and alerts", make: crate::dashboards::files },
];

/// Writes what differs, or only says so.
pub(crate) fn run(check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for generator in GENERATORS {
        let files = (generator.make)().with_context(|| format!("cannot generate {}", generator.what))?;
        for (path, content) in files {
            if fs::read_to_string(root().join(&path)).is_ok_and(|present| present == content) {
                continue;
            }
            if !check {
                write(&path, &content)?;
                println!("wrote {path} ({})", generator.what);
            }
            stale.push(path);
        }
    }
    if check && !stale.is_empty() {
        bail!("out of date: {}\nrun `cargo xtask gen` and commit what it writes", stale.join(", "));
    }
    Ok(())
}

fn write(path: &str, content: &str) -> Result<()> {
    let file = root().join(path);
    fs::create_dir_all(file.parent().unwrap_or(root()))?;
    fs::write(&file, content).with_context(|| format!("cannot write {path}"))
}
