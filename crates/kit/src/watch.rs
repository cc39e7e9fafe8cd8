//! Tells when watched files or directories may have changed.
//!
//! ```text
//! inotify ─▶ matters? ─▶ wait for 20 ms of quiet (100 ms at most) ─▶ watch new directories ─▶ Changes::changed()
//! ```
//!
//! What is watched is the *directory* of a file, never the file: editors replace files by renaming, and a ConfigMap volume
//! swaps the link `..data`. New directories are watched before the signal is given, so whoever scans after the signal
//! misses nothing. Where the system has no inotify watches left, the files are polled.

mod plan;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;

use plan::Plan;

/// A burst of events counts as one change once nothing happened for this long …
const QUIET: Duration = Duration::from_millis(20);
/// … or after this long at the latest, so that a file rewritten without pause does not hold the signal back.
const LATEST: Duration = Duration::from_millis(100);
/// How often is looked when there are no inotify watches.
const POLL: Duration = Duration::from_secs(1);

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// By inotify; by polling once its watches are used up.
    #[default]
    Notify,
    /// By comparing names, times and sizes at this interval: for file systems without notification (NFS, 9p).
    Poll(Duration),
}

/// The signal that something changed. Watching ends when it is dropped.
#[derive(Debug)]
pub struct Changes {
    generation: watch::Receiver<u64>,
    messages: Sender<Message>,
}

impl Changes {
    /// Waits until something changed since the last call. Changes in between count as one. Cancel safe.
    pub async fn changed(&mut self) {
        if self.generation.changed().await.is_err() {
            // The watching thread only ends with this value, or by a panic that it has reported.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        // An error means that the thread is gone already.
        let _ = self.messages.send(Message::Stop);
    }
}

enum Message {
    Event(notify::Result<notify::Event>),
    Stop,
}

/// Watches `roots`: a file for its content, a directory with everything below it, except directories whose name begins
/// with a dot. A root need not exist yet. Whatever changes after this call returns is signalled.
pub fn watch(roots: &[PathBuf], mode: Mode) -> std::io::Result<Changes> {
    let roots = roots.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
    let (messages, inbox) = channel();
    let (signal, generation) = watch::channel(0);
    let mut watching = Watching::new(roots, mode, messages.clone());
    watching.sync();
    std::thread::Builder::new().name("watch".to_owned()).spawn(move || watching.run(&inbox, &signal))?;
    Ok(Changes { generation, messages })
}

/// The state of the watching thread.
struct Watching {
    roots: Vec<PathBuf>,
    plan: Plan,
    notifier: Option<RecommendedWatcher>,
    /// Watched directories with device and inode, so that one made anew under the same name is watched anew; none where the watch
    /// may have gone with a directory that went away.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
    poll: Option<Duration>,
    fingerprint: u64,
}

impl Watching {
    fn new(roots: Vec<PathBuf>, mode: Mode, messages: Sender<Message>) -> Self {
        let mut watching =
            Self { roots, plan: Plan::default(), notifier: None, watched: BTreeMap::new(), poll: None, fingerprint: 0 };
        match mode {
            Mode::Poll(interval) => watching.poll = Some(interval),
            Mode::Notify => {
                let send = move |event| drop(messages.send(Message::Event(event)));
                match notify::recommended_watcher(send) {
                    Ok(notifier) => watching.notifier = Some(notifier),
                    Err(error) => watching.fall_back(&error),
                }
            }
        }
        watching
    }

    fn run(mut self, inbox: &Receiver<Message>, signal: &watch::Sender<u64>) {
        while let Some(changed) = self.wait(inbox) {
            if !changed {
                continue;
            }
            if !self.settle(inbox) {
                return;
            }
            self.sync();
            signal.send_modify(|generation| *generation += 1);
        }
    }

    /// Waits for the next sign of change; `None` to stop, `false` when it was none of ours.
    fn wait(&mut self, inbox: &Receiver<Message>) -> Option<bool> {
        let message = match self.poll {
            Some(interval) => inbox.recv_timeout(interval),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match message {
            Ok(Message::Event(event)) => Some(self.matters(event)),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => Some(self.plan.fingerprint() != self.fingerprint),
        }
    }

    fn matters(&mut self, event: notify::Result<notify::Event>) -> bool {
        let event = match event {
            Ok(event) if event.need_rescan() => None,
            Ok(event) => Some(event),
            Err(error) => {
                tracing::warn!(%error, "watching files: an event was lost, looking at all of them");
                None
            }
        };
        let Some(event) = event else {
            self.watched.values_mut().for_each(|id| *id = None);
            return true;
        };
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        let mut matters = false;
        for path in &event.paths {
            matters |= self.doubt(path, event.kind) || self.plan.concerns(path);
        }
        matters
    }

    /// A directory that went away, or was replaced, has to be watched anew when it comes back; even as the same one, with the
    /// inode that it had. The watches of those below it went with its own.
    fn doubt(&mut self, path: &Path, kind: EventKind) -> bool {
        match kind {
            EventKind::Modify(ModifyKind::Metadata(_)) => false,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                let from = self.watched.range_mut::<Path, _>((Bound::Included(path), Bound::Unbounded));
                from.take_while(|(dir, _)| dir.starts_with(path)).map(|(_, id)| *id = None).count() > 0
            }
            _ => match self.watched.get_mut(path) {
                Some(id) if *id != identity(path) => {
                    *id = None;
                    true
                }
                _ => false,
            },
        }
    }

    /// Takes in events until it is quiet. False when watching shall stop.
    fn settle(&mut self, inbox: &Receiver<Message>) -> bool {
        let end = Instant::now() + LATEST;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(QUIET.min(left)) {
                Ok(Message::Event(event)) => drop(self.matters(event)),
                Ok(Message::Stop) => return false,
                Err(_) => return true,
            }
            if left.is_zero() {
                return true;
            }
        }
    }

    /// Makes the watched directories those that matter now. Repeats while new ones turn up, because a file may have
    /// been written into a new directory before it was watched.
    fn sync(&mut self) {
        loop {
            self.plan = Plan::make(&self.roots);
            let grew = self.watch_planned();
            self.unwatch_others();
            if !grew {
                break;
            }
        }
        if self.poll.is_some() {
            self.fingerprint = self.plan.fingerprint();
        }
    }

    /// True when a directory was added. When the system refuses, polling takes over.
    fn watch_planned(&mut self) -> bool {
        let Some(notifier) = &mut self.notifier else { return false };
        let (mut grew, mut refused) = (false, None);
        for dir in self.plan.directories() {
            let Some(id) = identity(dir) else { continue };
            match self.watched.get(dir) {
                Some(known) if *known == Some(id) => continue,
                // Its watch went with the directory that had this name before: an error says just that.
                Some(_) => drop(notifier.unwatch(dir)),
                None => {}
            }
            match notifier.watch(dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(dir.to_owned(), Some(id));
                    grew = true;
                }
                // It went away between planning and watching; its parent is watched and tells when it is back.
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = refused {
            self.fall_back(&error);
            return false;
        }
        grew
    }

    fn unwatch_others(&mut self) {
        let plan = &self.plan;
        let Some(notifier) = &mut self.notifier else { return };
        self.watched.retain(|dir, _| {
            let keep = plan.has(dir);
            if !keep {
                // The directory may be gone, and its watch with it.
                let _ = notifier.unwatch(dir);
            }
            keep
        });
    }

    fn fall_back(&mut self, error: &notify::Error) {
        tracing::warn!(
            %error,
            "files cannot be watched (is fs.inotify.max_user_watches or max_user_instances used up?), polling them every {POLL:?}"
        );
        self.notifier = None;
        self.watched.clear();
        self.poll = Some(POLL);
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}
