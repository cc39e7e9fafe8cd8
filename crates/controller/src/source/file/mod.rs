//! Resources from files: manifests in directories, as they would be applied to a cluster.
//!
//! ```text
//! inotify ─▶ watcher (which files, when) ─▶ reader (changed ones only) ─▶ contents (changed documents only) ─▶ store ─▶ Seen
//! ```
//!
//! A bad document is told and its last good version stays; everything else is applied.

mod contents;
mod document;
mod held;
mod once;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod walk;
mod watcher;
mod writers;

use std::{
    path::PathBuf,
    sync::mpsc::{Sender, channel},
    time::{Duration, Instant},
};

use tokio::sync::watch;

pub use document::Original;
pub use once::{Once, read_once};

use super::{Seen, tell_problems};
use reader::Reader;
use watcher::{Message, Watcher};

/// A thread that keeps reading files. It ends when this is dropped.
#[derive(Debug)]
pub struct FileSource {
    seen: watch::Receiver<Seen>,
    messages: Sender<Message>,
}

impl FileSource {
    /// Reads all files below the roots (files, or directories with all below them) and goes on to watch them. When this
    /// returns, everything has been read once.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(roots: Vec<PathBuf>) -> std::io::Result<Self> {
        let (messages, inbox) = channel();
        let mut watcher = Watcher::new(&roots, messages.clone(), inbox);
        let mut reader = Reader::new(roots);
        reader.look_at_all();
        let (sender, seen) = watch::channel(reader.seen());
        let run = move || while turn(&mut watcher, &mut reader, &sender) {};
        std::thread::Builder::new().name("files".to_owned()).spawn(run)?;
        Ok(Self { seen, messages })
    }

    /// What is read, as it changes.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        // An error means that the thread is gone already.
        let _ = self.messages.send(Message::Stop);
    }
}

/// Waits for a change and reads it. False to stop.
fn turn(watcher: &mut Watcher, reader: &mut Reader, sender: &watch::Sender<Seen>) -> bool {
    let due = watcher.next(reader.look_again(), |path| reader.concern(path));
    if due.stop {
        return false;
    }
    let started = Instant::now();
    let mut changed = due.all && reader.look_at_all();
    for path in &due.paths {
        changed |= reader.look_at(path, watcher.is_open(path));
    }
    changed |= reader.look_at_doubted(Instant::now(), |path| watcher.is_open(path));
    if changed {
        let seen = reader.seen();
        tell_problems(&seen, &sender.borrow());
        sender.send_replace(seen);
        log_time(started.elapsed());
    }
    true
}

fn log_time(took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(component = "provider", micros, "files read");
}

/// Reads a directory step by step, for tests of what follows.
#[cfg(test)]
pub(crate) struct TestSource(Reader);

#[cfg(test)]
impl TestSource {
    pub(crate) fn new(dir: &std::path::Path) -> Self {
        Self(Reader::new(vec![dir.to_owned()]))
    }

    /// What the files say now.
    pub(crate) fn read(&mut self) -> Seen {
        self.0.look_at_all();
        while let Some(at) = self.0.look_again() {
            self.0.look_at_doubted(at, |_| false);
        }
        self.0.seen()
    }
}
