//! The cache directory, and the one way something gets into it: whole or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};

/// Where fetched tools live; it is not created by asking.
pub fn cache_dir() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PORTCULLIS_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("portcullis")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/portcullis")))
        .context("no place for fetched tools: set PORTCULLIS_CACHE to a directory")
}

/// Twelve digits that tell one text from another, for names of entries that depend on much.
pub(crate) fn key(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The directory `name` of the cache, filled by `fill` if it is not there yet.
///
/// `fill` works in a directory beside it that is renamed at the end: a fetch that was cut short leaves nothing that looks whole.
pub(crate) fn entry(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let tools = cache_dir()?.join("tools");
    let ready = tools.join(name);
    if ready.is_dir() {
        return Ok(ready);
    }
    fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    lock.lock()?;
    // Another process may have filled it while this one waited for the lock.
    if !ready.is_dir() {
        let partial = tempfile::Builder::new().prefix(&format!("{name}.partial-")).tempdir_in(&tools)?;
        fill(partial.path())?;
        fs::rename(partial.path(), &ready).with_context(|| format!("cannot create {}", ready.display()))?;
        // The directory has moved on; there is nothing left for the guard to remove.
        let _ = partial.keep();
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_that_fails_leaves_nothing() {
        let name = format!("test-{}", std::process::id());
        entry(&name, |dir| {
            fs::write(dir.join("half"), "x")?;
            anyhow::bail!("cut short")
        })
        .unwrap_err();
        let tools = cache_dir().unwrap().join("tools");
        assert!(!tools.join(&name).exists());
        let made = entry(&name, |dir| Ok(fs::write(dir.join("whole"), "x")?)).unwrap();
        assert!(made.join("whole").is_file());
        entry(&name, |_| panic!("a second run must not fetch")).unwrap();
        fs::remove_dir_all(made).unwrap();
        fs::remove_file(tools.join(format!("{name}.lock"))).unwrap();
    }
}
