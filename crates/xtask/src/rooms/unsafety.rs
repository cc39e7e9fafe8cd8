//! Unsafe code has one room. The workspace denies it, and a crate that allows it for itself is found here.

use std::path::Path;

use anyhow::Result;

/// The one room.
const ROOM: &str = "coraza";

/// Every file that allows unsafe code in another room: one sentence each.
pub(super) fn elsewhere(crates: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(crates)? {
        let room = entry?.path();
        if room.is_dir() && room.file_name().is_none_or(|name| name != ROOM) {
            look(&room, &mut found)?;
        }
    }
    found.sort();
    Ok(found)
}

fn look(directory: &Path, found: &mut Vec<String>) -> Result<()> {
    // In two parts, so that this file is not found.
    let lint = ["(unsafe", "code"].join("_");
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            if text.contains(&format!("allow{lint}")) || text.contains(&format!("expect{lint}")) {
                found.push(format!("{} allows unsafe code, which only {ROOM} may have", path.display()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_outside_its_room_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |room: &str, text: &str| {
            std::fs::create_dir_all(dir.path().join(room).join("src")).unwrap();
            std::fs::write(dir.path().join(room).join("src/lib.rs"), text).unwrap();
        };
        let allowed = ["#![allow(unsafe", "code)]"].join("_");
        write(ROOM, &allowed);
        write("kit", "");
        assert!(elsewhere(dir.path()).unwrap().is_empty());
        write("kit", &allowed);
        let found = elsewhere(dir.path()).unwrap();
        assert!(found.len() == 1 && found[0].contains("kit/src/lib.rs allows unsafe code"), "{found:?}");
    }
}
