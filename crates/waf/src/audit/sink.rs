//! The thread that writes.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use prometheus::IntCounter;

use super::entry::Entry;
use super::otlp::Collector;
use super::{File, Settings};

/// The most bytes that may wait to be written, however many entries are allowed to.
const MOST_BYTES: usize = 64 << 20;

/// What is written: an entry, and as text.
pub(super) struct Item {
    pub(super) text: String,
    pub(super) entry: Entry,
}

/// Entries that are lost, and why.
pub(super) struct Lost {
    pub(super) entries: u64,
    pub(super) why: io::Error,
}

/// The way to the thread that writes. Dropping it waits until everything is written.
#[derive(Debug)]
pub(super) struct Sink {
    queue: Option<SyncSender<Item>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    /// Whether nothing more comes.
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Counts in `lost` what cannot be written.
    pub(super) fn start(settings: &Settings, lost: IntCounter) -> io::Result<Self> {
        let closing = Arc::<AtomicBool>::default();
        let mut target: Box<dyn Target> = match (&settings.file, &settings.otlp) {
            (Some(file), _) => Box::new(Rotating::open(file.clone())?),
            (None, Some(otlp)) => Box::new(Collector::new(otlp, Arc::clone(&closing))?),
            (None, None) => Box::new(Stdout),
        };
        let (sender, receiver) = sync_channel(settings.queue.max(1));
        let waiting = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || run(&receiver, &written, &mut *target, &lost))?;
        Ok(Self { queue: Some(sender), waiting, closing, thread: Some(thread) })
    }

    /// False when there was no room.
    pub(super) fn write(&self, item: Item) -> bool {
        let size = item.text.len();
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= MOST_BYTES;
        let sent = fits && self.queue.as_ref().is_some_and(|queue| queue.try_send(item).is_ok());
        if !sent {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It has said itself what went wrong.
            let _ = thread.join();
        }
    }
}

/// Writes in bursts: what is there is written, then flushed.
fn run(queue: &Receiver<Item>, waiting: &AtomicUsize, target: &mut dyn Target, lost: &IntCounter) {
    let mut failed = false;
    while let Ok(first) = queue.recv() {
        let items = std::iter::once(first).chain(queue.try_iter());
        let write = |item: Item| {
            waiting.fetch_sub(item.text.len(), Ordering::Relaxed);
            target.write(item)
        };
        let outcome = items.into_iter().try_for_each(write).and_then(|()| target.flush());
        if let Err(Lost { entries, why }) = &outcome {
            lost.inc_by(*entries);
            if !failed {
                tracing::error!(error = %why, "the audit log cannot be written, entries are lost");
            }
        }
        failed = outcome.is_err();
    }
}

pub(super) trait Target: Send {
    fn write(&mut self, item: Item) -> Result<(), Lost>;
    fn flush(&mut self) -> Result<(), Lost>;
}

/// Of a file, it is not known how much of what was written before is lost.
impl From<io::Error> for Lost {
    fn from(why: io::Error) -> Self {
        Self { entries: 1, why }
    }
}

struct Stdout;

impl Target for Stdout {
    fn write(&mut self, item: Item) -> Result<(), Lost> {
        Ok(io::stdout().write_all(item.text.as_bytes())?)
    }

    fn flush(&mut self) -> Result<(), Lost> {
        Ok(io::stdout().flush()?)
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
    fn write(&mut self, item: Item) -> Result<(), Lost> {
        let size = item.text.len() as u64;
        if self.size > 0 && self.size + size > self.settings.max_bytes {
            self.rotate()?;
        }
        self.size += size;
        Ok(self.file.write_all(item.text.as_bytes())?)
    }

    fn flush(&mut self) -> Result<(), Lost> {
        Ok(self.file.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        Item { text: text.to_owned(), entry: Entry::default() }
    }

    fn unwritten(room: usize) -> (Sink, Receiver<Item>) {
        let (sender, receiver) = sync_channel(room);
        (Sink { queue: Some(sender), waiting: Arc::default(), closing: Arc::default(), thread: None }, receiver)
    }

    #[test]
    fn a_full_file_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let file = Some(File { path: path.clone(), max_bytes: 10, keep: 2 });
        let lost = IntCounter::new("lost", "Lost.").unwrap();
        let sink = Sink::start(&Settings { file, ..Settings::default() }, lost.clone()).unwrap();
        for text in ["one 5\n", "two 5\n", "three\n", "four\n"] {
            assert!(sink.write(item(text)));
        }
        drop(sink);
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!((read(&path), read(&numbered(&path, 1)), read(&numbered(&path, 2))), {
            ("four\n".to_owned(), "three\n".to_owned(), "two 5\n".to_owned())
        });
        assert!(!numbered(&path, 3).exists());
        assert_eq!(lost.get(), 0);
    }

    #[test]
    fn what_finds_no_room_is_refused() {
        let (sink, receiver) = unwritten(1);
        assert!(sink.write(item("a")) && !sink.write(item("b")));
        drop(receiver);
        assert!(!sink.write(item("c")));
        let (sink, receiver) = unwritten(10);
        assert!(sink.write(item(&"a".repeat(MOST_BYTES))) && !sink.write(item("b")));
        drop(receiver);
    }
}
