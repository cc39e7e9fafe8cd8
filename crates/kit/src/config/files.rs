//! Which files a path stands for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;

/// The file itself, or all files of a directory and below it in the order of their names, except those whose names begin with
/// a dot: a ConfigMap volume keeps its own there.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |why| Error::Read { file: path.display().to_string(), why: Arc::new(why) };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = std::fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.extend(files(&entry.path())?);
        }
    }
    Ok(found)
}
