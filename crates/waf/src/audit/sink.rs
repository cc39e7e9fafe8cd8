//! The thread that writes.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::File;

/// The most bytes that may wait to be written, however many entries are allowed to.
const MOST_BYTES: usize = 64 << 20;

/// The way to the thread that writes. Dropping it waits until everything is written.
#[derive(Debug)]
pub(super) struct Sink {
    queue: Option<SyncSender<String>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub(super) fn start(file: Option<File>, queue: usize) -> io::Result<Self> {
        let mut target: Box<dyn Target> = match file {
            Some(file) => Box::new(Rotating::open(file)?),
            None => Box::new(Stdout),
        };
        let (sender, receiver) = sync_channel(queue.max(1));
        let waiting = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || run(&receiver, &written, &mut *target))?;
        Ok(Self { queue: Some(sender), waiting, thread: Some(thread) })
    }

    /// False when there was no room.
    pub(super) fn write(&self, text: String) -> bool {
        let size = text.len();
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= MOST_BYTES;
        let sent = fits && self.queue.as_ref().is_some_and(|queue| queue.try_send(text).is_ok());
        if !sent {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It has said itself what went wrong.
            let _ = thread.join();
        }
    }
}

/// Writes in bursts: what is there is written, then flushed.
fn run(queue: &Receiver<String>, waiting: &AtomicUsize, target: &mut dyn Target) {
    let mut failed = false;
    while let Ok(first) = queue.recv() {
        let texts = std::iter::once(first).chain(queue.try_iter());
        let write = |text: String| {
            waiting.fetch_sub(text.len(), Ordering::Relaxed);
            target.write(&text)
        };
        let outcome = texts.into_iter().try_for_each(write).and_then(|()| target.flush());
        match outcome {
            Err(error) if !failed => {
                tracing::error!(%error, "the audit log cannot be written, entries are lost");
                failed = true;
            }
            outcome => failed &= outcome.is_err(),
        }
    }
}

trait Target: Send {
    fn write(&mut self, text: &str) -> io::Result<()>;
    fn flush(&mut self) -> io::Result<()>;
}

struct Stdout;

impl Target for Stdout {
    fn write(&mut self, text: &str) -> io::Result<()> {
        io::stdout().write_all(text.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A file that gives way to a new one when it is full.
struct Rotating {
    settings: File,
    file: BufWriter<fs::File>,
    size: u64,
}

impl Rotating {
    fn open(settings: File) -> io::Result<Self> {
        let file = fs::OpenOptions::new().create(true).append(true).open(&settings.path)?;
        let size = file.metadata()?.len();
        Ok(Self { settings, file: BufWriter::new(file), size })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let path = &self.settings.path;
        for number in (1..self.settings.keep).rev() {
            if numbered(path, number).exists() {
                fs::rename(numbered(path, number), numbered(path, number + 1))?;
            }
        }
        if self.settings.keep > 0 {
            fs::rename(path, numbered(path, 1))?;
        } else {
            fs::remove_file(path)?;
        }
        *self = Self::open(self.settings.clone())?;
        Ok(())
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl Target for Rotating {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.size > 0 && self.size + text.len() as u64 > self.settings.max_bytes {
            self.rotate()?;
        }
        self.size += text.len() as u64;
        self.file.write_all(text.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let sink = Sink::start(Some(File { path: path.clone(), max_bytes: 10, keep: 2 }), 100).unwrap();
        for text in ["one 5\n", "two 5\n", "three\n", "four\n"] {
            assert!(sink.write(text.to_owned()));
        }
        drop(sink);
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!((read(&path), read(&numbered(&path, 1)), read(&numbered(&path, 2))), {
            ("four\n".to_owned(), "three\n".to_owned(), "two 5\n".to_owned())
        });
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn what_finds_no_room_is_refused() {
        let (sender, receiver) = sync_channel(1);
        let sink = Sink { queue: Some(sender), waiting: Arc::default(), thread: None };
        assert!(sink.write("a".to_owned()) && !sink.write("b".to_owned()));
        drop(receiver);
        assert!(!sink.write("c".to_owned()));
        let (sender, receiver) = sync_channel(10);
        let sink = Sink { queue: Some(sender), waiting: Arc::default(), thread: None };
        assert!(sink.write("a".repeat(MOST_BYTES)) && !sink.write("b".to_owned()));
        drop(receiver);
    }
}
