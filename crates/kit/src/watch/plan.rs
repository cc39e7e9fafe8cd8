//! Which directories have to be watched for a set of files and directories, and which names in them matter.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many links are followed one after another, as the kernel bounds them too.
const MAX_LINKS: usize = 40;

/// What matters in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Interest {
    Everything,
    Names(BTreeSet<OsString>),
}

/// The directories by their real path (without links), so that each is watched once and events are found by path.
#[derive(Debug, Default)]
pub(super) struct Plan {
    dirs: BTreeMap<PathBuf, Interest>,
}

impl Plan {
    /// Looks at the file system and plans for `roots` (absolute paths).
    pub(super) fn make(roots: &[PathBuf]) -> Self {
        let mut plan = Self::default();
        for root in roots {
            plan.follow(root, MAX_LINKS);
            if root.is_dir() {
                plan.tree(root);
            }
        }
        plan
    }

    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.dirs.keys().map(PathBuf::as_path)
    }

    pub(super) fn has(&self, dir: &Path) -> bool {
        self.dirs.contains_key(dir)
    }

    /// Whether an event about `path` is about something planned.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return false };
        match self.dirs.get(dir) {
            Some(Interest::Everything) => true,
            Some(Interest::Names(names)) => names.contains(name),
            None => false,
        }
    }

    /// A value that changes when a name, size, time or inode of anything planned changes.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (dir, interest) in &self.dirs {
            dir.hash(&mut hasher);
            match interest {
                Interest::Names(names) => names.iter().for_each(|name| stamp(&dir.join(name), &mut hasher)),
                Interest::Everything => entries(dir).iter().for_each(|path| stamp(path, &mut hasher)),
            }
        }
        hasher.finish()
    }

    /// A directory and all below it. Real paths end loops of links.
    fn tree(&mut self, dir: &Path) {
        let Ok(real) = dir.canonicalize() else { return };
        if self.dirs.insert(real.clone(), Interest::Everything) == Some(Interest::Everything) {
            return;
        }
        for path in entries(&real) {
            if path.is_symlink() {
                self.follow(&path, MAX_LINKS);
            }
            if path.is_dir() && !is_hidden(&path) {
                self.tree(&path);
            }
        }
    }

    /// A path by its name in its directory, and every link on the way to what it stands for.
    fn follow(&mut self, path: &Path, links_left: usize) {
        self.name(path);
        for part in path.ancestors() {
            let Ok(target) = fs::read_link(part) else { continue };
            self.name(part);
            if links_left > 0 {
                let target = part.parent().unwrap_or(part).join(target);
                self.follow(&target, links_left - 1);
            }
        }
    }

    /// One name in its directory; while the directory does not exist, the first missing part in the one that does.
    fn name(&mut self, path: &Path) {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return };
        match dir.canonicalize() {
            Ok(real) if real.is_dir() => self.add_name(real, name),
            _ => self.name(dir),
        }
    }

    fn add_name(&mut self, dir: PathBuf, name: &OsStr) {
        if let Interest::Names(names) = self.dirs.entry(dir).or_insert_with(|| Interest::Names(BTreeSet::new())) {
            names.insert(name.to_owned());
        }
    }
}

/// The paths in a directory by name; none when it cannot be read.
fn entries(dir: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(dir).map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn stamp(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    if let Ok(meta) = fs::metadata(path) {
        (meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec()).hash(hasher);
    }
    fs::read_link(path).ok().hash(hasher);
}
