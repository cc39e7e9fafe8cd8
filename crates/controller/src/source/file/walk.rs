//! Which files there are, and how a change of one is noticed without reading it.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What tells one state of a file from another: device, inode, size, and modification time to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64, u64, u64, i64, i64);

impl Stamp {
    fn new(meta: &Metadata) -> Self {
        Self(meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())
    }

    /// Whether the file is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.2 == 0
    }

    /// Whether the modification was that long ago.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        let modified = Duration::new(self.3.unsigned_abs(), u32::try_from(self.4).unwrap_or_default());
        SystemTime::now().duration_since(UNIX_EPOCH + modified).is_ok_and(|past| past > age)
    }

    /// The state of a regular file, `None` when there is none. Links are followed.
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().filter(Metadata::is_file).map(|meta| Self::new(&meta))
    }
}

/// Whether a name in a directory is one of a manifest. Hidden files are left out: editors and volumes keep theirs there.
pub(super) fn is_manifest(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    !hidden && ["yaml", "yml", "json"].contains(&extension)
}

/// Whether the path is below the root, with no hidden directory between.
pub(super) fn is_visible_below(root: &Path, path: &Path) -> bool {
    let hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
    path.strip_prefix(root).is_ok_and(|rest| !rest.iter().any(hidden))
}

/// All manifests below the roots, in order. A root that is a file counts whatever its name is.
pub(super) fn walk(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut visited = HashSet::new();
    for root in roots {
        match fs::metadata(root) {
            Ok(meta) if meta.is_dir() => walk_directory(root, &mut visited, &mut found),
            Ok(_) => {
                found.insert(root.clone());
            }
            // A root that is not there has no files; the server's start has complained about it.
            Err(_) => {}
        }
    }
    found.into_iter().collect()
}

/// Every directory is entered once, so links in a circle end.
fn walk_directory(dir: &Path, visited: &mut HashSet<(u64, u64)>, found: &mut BTreeSet<PathBuf>) {
    let Ok(meta) = fs::metadata(dir) else { return };
    if !visited.insert((meta.dev(), meta.ino())) {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() {
            walk_directory(&path, visited, found);
        } else if is_manifest(&path) && meta.is_file() {
            found.insert(path);
        }
    }
}
