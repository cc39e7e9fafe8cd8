//! Tells which files may have changed, as soon as it is certain that their writer is done.
//!
//! ```text
//! inotify ─▶ written and closed, renamed, removed: at once · being written: when it is quiet · directories: look at all
//! ```
//!
//! `kit::watch` says *that* something changed, after a while of quiet. Among ten thousand files that is too little to go
//! by and, at 50 ms from saving a route to Envoy's answer, too late: here the single path is wanted, at once.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, ModifyKind},
};

/// A file that is written and not closed (mapped into memory, or over a network) is read after this long a quiet.
const QUIET: Duration = Duration::from_millis(30);
/// How often all files are looked at where the system cannot watch them.
const POLL: Duration = Duration::from_secs(1);

/// What wakes the reader up.
#[derive(Debug)]
pub(super) enum Message {
    /// Something happened to a file.
    Event(notify::Result<Event>),
    /// Nobody wants to know any more.
    Stop,
}

/// What an event may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// One manifest.
    File,
    /// Any number of manifests: a directory or a link.
    Many,
    /// None.
    Nothing,
}

/// What has to be looked at.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// All files.
    pub(super) all: bool,
    /// These files.
    pub(super) paths: Vec<PathBuf>,
    /// Nobody wants to know any more.
    pub(super) stop: bool,
}

/// Collects what happens to files until it is time to look at them.
#[derive(Debug)]
pub(super) struct Watcher {
    inbox: Receiver<Message>,
    notifier: Option<RecommendedWatcher>,
    waiting: HashMap<PathBuf, Instant>,
    /// Files that were written to and not closed since.
    open: HashSet<PathBuf>,
    look_at_all: Option<Instant>,
}

impl Watcher {
    /// Watches the roots: directories with all that is below them, and the directories of files.
    pub(super) fn new(roots: &[PathBuf], outbox: mpsc::Sender<Message>, inbox: Receiver<Message>) -> Self {
        let mut watcher =
            Self { inbox, notifier: None, waiting: HashMap::new(), open: HashSet::new(), look_at_all: None };
        let started = notify::recommended_watcher(move |event| drop(outbox.send(Message::Event(event))));
        match started.and_then(|notifier| watch_all(notifier, roots)) {
            Ok(notifier) => watcher.notifier = Some(notifier),
            Err(error) => {
                tracing::warn!(%error, "files cannot be watched (is fs.inotify.max_user_watches used up?), looking every {POLL:?}");
                watcher.look_at_all = Some(Instant::now() + POLL);
            }
        }
        watcher
    }

    /// Whether somebody is writing to the file, as far as is known.
    pub(super) fn is_open(&self, path: &Path) -> bool {
        self.open.contains(path)
    }

    /// Waits until something has to be looked at, or until `deadline`.
    pub(super) fn next(&mut self, deadline: Option<Instant>, concern: impl Fn(&Path) -> Concern) -> Due {
        loop {
            let now = Instant::now();
            let due = self.due(now);
            if due.all || !due.paths.is_empty() || deadline.is_some_and(|deadline| deadline <= now) {
                return due;
            }
            let next = self.waiting.values().copied().chain(self.look_at_all).chain(deadline).min();
            let message = match next {
                Some(next) => self.inbox.recv_timeout(next.saturating_duration_since(now)),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Due { stop: true, ..Due::default() },
                Ok(message) => {
                    if !self.take(message, &concern) || !self.take_all_there_is(&concern) {
                        return Due { stop: true, ..Due::default() };
                    }
                }
            }
        }
    }

    fn due(&mut self, now: Instant) -> Due {
        let all = self.look_at_all.is_some_and(|at| at <= now);
        if all {
            self.look_at_all = self.notifier.is_none().then(|| now + POLL);
        }
        let mut paths: Vec<_> =
            self.waiting.iter().filter(|(_, at)| **at <= now).map(|(path, _)| path.clone()).collect();
        paths.sort();
        self.waiting.retain(|_, at| *at > now);
        Due { all, paths, stop: false }
    }

    fn take_all_there_is(&mut self, concern: &impl Fn(&Path) -> Concern) -> bool {
        while let Ok(message) = self.inbox.try_recv() {
            if !self.take(message, concern) {
                return false;
            }
        }
        true
    }

    /// False to stop.
    fn take(&mut self, message: Message, concern: &impl Fn(&Path) -> Concern) -> bool {
        let event = match message {
            Message::Stop => return false,
            Message::Event(event) => event,
        };
        match event {
            Ok(event) if event.need_rescan() => self.look_at_all_soon(),
            Ok(event) => self.take_event(&event, concern),
            Err(error) => {
                tracing::warn!(%error, "an event of a watched file was lost, looking at all of them");
                self.look_at_all_soon();
            }
        }
        true
    }

    fn take_event(&mut self, event: &Event, concern: &impl Fn(&Path) -> Concern) {
        let now = Instant::now();
        let at = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => now,
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return,
            _ => now + QUIET,
        };
        for path in &event.paths {
            match concern(path) {
                Concern::File if at == now => {
                    self.open.remove(path);
                    self.waiting.insert(path.clone(), at);
                }
                Concern::File => {
                    self.open.insert(path.clone());
                    self.waiting.insert(path.clone(), at);
                }
                Concern::Many => self.look_at_all_soon(),
                Concern::Nothing => {}
            }
        }
    }

    /// A directory came, went or was renamed, or a link was changed (a volume swaps `..data`). A moment later, since
    /// what is written into a new directory before it is watched is not told.
    fn look_at_all_soon(&mut self) {
        self.look_at_all.get_or_insert_with(|| Instant::now() + QUIET);
    }
}

fn watch_all(mut notifier: RecommendedWatcher, roots: &[PathBuf]) -> notify::Result<RecommendedWatcher> {
    for root in roots {
        if root.is_dir() {
            notifier.watch(root, RecursiveMode::Recursive)?;
        } else if let Some(parent) = root.parent() {
            notifier.watch(parent, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(notifier)
}
