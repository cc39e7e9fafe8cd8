//! Lints that one room alone may switch off: sources and manifests of all others do not name them.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

/// A lint of the workspace and its room.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fence {
    pub(super) lint: String,
    pub(super) room: String,
    pub(super) why: String,
}

/// Every file of another room that names a lint: one sentence each.
pub(super) fn crossed(fences: &[Fence], crates: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(crates)? {
        let room = entry?.path();
        let fences: Vec<&Fence> = fences.iter().filter(|fence| !room.ends_with(&fence.room)).collect();
        if room.is_dir() {
            look(&room, &fences, &mut found)?;
        }
    }
    found.sort();
    Ok(found)
}

fn look(directory: &Path, fences: &[&Fence], found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, fences, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
            let text = fs::read_to_string(&path)?;
            for Fence { lint, room, why } in fences.iter().filter(|fence| text.contains(&fence.lint)) {
                let path = path.display();
                found.push(format!("{path} names the lint {lint}, which only {room} may switch off ({why})"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lint_that_is_switched_off_in_another_room_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |room: &str, file: &str, text: &str| {
            fs::create_dir_all(dir.path().join(room).join("src")).unwrap();
            fs::write(dir.path().join(room).join(file), text).unwrap();
        };
        let fence = Fence { lint: "pointers".into(), room: "c".into(), why: "it calls C".into() };
        let crossed = || crossed(std::slice::from_ref(&fence), dir.path()).unwrap();
        write("c", "src/lib.rs", "#![allow(pointers)]");
        write("kit", "src/lib.rs", "");
        assert!(crossed().is_empty());
        write("kit", "src/lib.rs", "#![allow(pointers)]");
        write("kit", "Cargo.toml", "[lints.rust]\npointers = \"allow\"");
        let found = crossed();
        assert!(
            found.len() == 2 && found[1].contains("kit/src/lib.rs names the lint pointers, which only c"),
            "{found:?}"
        );
    }
}
