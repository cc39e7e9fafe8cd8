//! Reads the files that changed, and is not taken in by files that are half written.
//!
//! Whoever writes a file in place empties it first. So a file from which resources *vanish* is looked at again before
//! that is believed: additions and changes count at once, losses once the file has been left alone for a while.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    contents::Contents,
    store::Store,
    walk::{Stamp, is_manifest, is_visible_below, walk},
    watcher::Concern,
    writers::has_writer,
};
use crate::source::Seen;

/// How long a file that lost resources must have stayed as it is before the loss counts …
const CALM: Duration = Duration::from_millis(50);
/// … and an empty one: who means to remove all that is in a file seldom leaves the file, but a file system that is busy
/// may keep a writer waiting between emptying it and saying so.
const EMPTY: Duration = Duration::from_secs(1);
/// After this time the loss counts even so, for files that are written without end.
const LATEST: Duration = Duration::from_secs(5);
/// How old a modification time must be to tell this state of a file from a later one: the kernel's clock for them ticks
/// every 4 to 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// The files below some roots, as they were read last.
#[derive(Debug)]
pub(super) struct Reader {
    roots: Vec<PathBuf>,
    /// The files that were read; without a stamp those that had been written to only just before.
    stamps: BTreeMap<PathBuf, Option<Stamp>>,
    doubts: HashMap<PathBuf, Doubt>,
    store: Store,
}

/// A file that lost resources.
#[derive(Debug)]
struct Doubt {
    /// How it looked; `None` when it was not there.
    stamp: Option<Stamp>,
    since: Instant,
    first: Instant,
}

impl Doubt {
    /// When the loss counts if the file stays as it is.
    fn until(&self) -> Instant {
        let is_empty = self.stamp.as_ref().is_some_and(Stamp::is_empty);
        self.since + if is_empty { EMPTY } else { CALM }
    }
}

impl Reader {
    /// Nothing is read yet.
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots, stamps: BTreeMap::new(), doubts: HashMap::new(), store: Store::default() }
    }

    /// What is in force now.
    pub(super) fn seen(&self) -> Seen {
        self.store.seen()
    }

    /// Looks at all files, and reads those that changed. True when there are such.
    pub(super) fn look_at_all(&mut self) -> bool {
        let mut paths: Vec<PathBuf> = walk(&self.roots);
        let vanished = self.stamps.keys().filter(|path| paths.binary_search(path).is_err());
        let vanished: Vec<_> = vanished.cloned().collect();
        paths.extend(vanished);
        paths.retain(|path| self.may_have_changed(path) && !self.doubts.contains_key(path));
        let changes = paths.iter().filter(|path| self.look_at(path, false));
        changes.count() > 0
    }

    fn may_have_changed(&self, path: &Path) -> bool {
        match self.stamps.get(path) {
            Some(Some(known)) => Stamp::of(path) != Some(*known),
            Some(None) | None => true,
        }
    }

    /// Reads one file, of which something was heard; `open` while somebody writes to it. True when it changed.
    pub(super) fn look_at(&mut self, path: &Path, open: bool) -> bool {
        let stamp = Stamp::of(path);
        let name: Arc<str> = path.display().to_string().into();
        let new = stamp.and_then(|_| self.read(path, &name));
        if self.doubt(path, (stamp, open), &name, new.as_ref()) {
            return false;
        }
        self.doubts.remove(path);
        match stamp {
            Some(stamp) => self.stamps.insert(path.to_owned(), Some(stamp).filter(|stamp| stamp.is_older_than(TICK))),
            None => self.stamps.remove(path),
        };
        let nothing = Contents::default();
        let is_same = self.store.contents(&name).unwrap_or(&nothing).is_same(new.as_ref().unwrap_or(&nothing));
        if !is_same {
            self.store.replace(&name, new);
        }
        !is_same
    }

    /// What an event at this path may be about.
    pub(super) fn concern(&self, path: &Path) -> Concern {
        if self.roots.iter().any(|root| path == root || (is_manifest(path) && is_visible_below(root, path))) {
            return Concern::File;
        }
        let was_a_directory =
            || self.stamps.range(path.to_owned()..).next().is_some_and(|(below, _)| below.starts_with(path));
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() => Concern::Nothing,
            // A directory, or a link: a volume swaps `..data`.
            Ok(_) => Concern::Many,
            Err(_) if was_a_directory() => Concern::Many,
            Err(_) => Concern::Nothing,
        }
    }

    /// When files that lost resources have to be looked at again.
    pub(super) fn look_again(&self) -> Option<Instant> {
        self.doubts.values().map(Doubt::until).min()
    }

    /// Looks again at the files whose time has come. True when something changed.
    pub(super) fn look_at_doubted(&mut self, now: Instant, is_open: impl Fn(&Path) -> bool) -> bool {
        let due = self.doubts.iter().filter(|(_, doubt)| doubt.until() <= now);
        let due: Vec<PathBuf> = due.map(|(path, _)| path.clone()).collect();
        let changes = due.iter().filter(|path| self.look_at(path, is_open(path)));
        changes.count() > 0
    }

    /// `None` when the file went away meanwhile.
    fn read(&self, path: &Path, name: &Arc<str>) -> Option<Contents> {
        let nothing = Contents::default();
        let old = self.store.contents(name).unwrap_or(&nothing);
        match kit::config::read_text(path) {
            Ok(text) => Some(Contents::read(name, &text, old)),
            Err(_) if !path.exists() => None,
            Err(error) => Some(Contents::unreadable(name, error.to_string(), old)),
        }
    }

    /// Whether resources went away that had better be looked for again.
    fn doubt(
        &mut self,
        path: &Path,
        (stamp, open): (Option<Stamp>, bool),
        name: &Arc<str>,
        new: Option<&Contents>,
    ) -> bool {
        let nothing = Contents::default();
        let loses = self.store.contents(name).is_some_and(|old| old.loses(new.unwrap_or(&nothing)));
        if !loses {
            return false;
        }
        let now = Instant::now();
        let doubt = self.doubts.entry(path.to_owned()).or_insert(Doubt { stamp, since: now, first: now });
        let is_calm = now >= doubt.until();
        // In this order: a writer that ended after the file was read has left another stamp.
        let is_written = || has_writer(path) || Stamp::of(path) != stamp;
        if doubt.stamp != stamp || open || (is_calm && is_written()) {
            (doubt.stamp, doubt.since) = (stamp, now);
        }
        now < doubt.until() && now < doubt.first + LATEST
    }
}
