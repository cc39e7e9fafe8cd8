//! Records that are kept: in a file that rotates, on standard output, or at a collector.
//!
//! ```text
//! record ─▶ bounded queue ─▶ one thread ─┬─▶ standard output, or a file: a record is its body and the end of the line
//!                                        └─▶ a collector, in batches
//! ```
//!
//! Requests never wait for it: a record that finds the queue full is refused. What cannot be written is lost and counted, and
//! what comes after it is written again.

mod collector;
mod file;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use prometheus::IntCounter;
use tokio_util::sync::CancellationToken;

use crate::otlp::{self, Record};
use collector::Collector;
pub use file::File;
use file::Rotating;

/// The most bytes that may wait to be written, however many records are allowed to.
const MOST_BYTES: usize = 64 << 20;
/// How many records are written at a time.
const BATCH: usize = 256;

/// Where records go.
#[derive(Debug, Clone)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(File),
    /// A collector, as OTLP logs.
    Collector(otlp::Settings),
}

/// Whose records these are.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// The service that collectors are told.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What messages call the journal: `audit log`.
    pub what: &'static str,
}

/// The way to the thread that writes. Dropping it waits until everything is written.
#[derive(Debug)]
pub struct Journal {
    queue: Option<SyncSender<Record>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    /// Whether nothing more comes.
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    ended: CancellationToken,
}

/// Records that are lost, and why.
struct Lost {
    records: usize,
    why: io::Error,
}

/// What writes.
trait Sink: Send {
    /// Writes these records; they are not too many to be written at once.
    fn write(&mut self, batch: &[Record]) -> Result<(), Lost>;
}

impl Journal {
    /// Starts it, with room for so many records that wait. A file is opened at once. What cannot be written is counted in `lost`.
    pub fn start(owner: Owner, target: Target, room: usize, lost: IntCounter) -> io::Result<Self> {
        let closing = Arc::<AtomicBool>::default();
        let mut sink: Box<dyn Sink> = match target {
            Target::Stdout => Box::new(Stdout),
            Target::File(file) => Box::new(Rotating::open(file)?),
            Target::Collector(settings) => Box::new(Collector::new(owner, &settings, Arc::clone(&closing))?),
        };
        let (mut journal, queue) = Self::unwritten(room);
        let (waiting, ended) = (Arc::clone(&journal.waiting), journal.ended.clone().drop_guard());
        let write = move || {
            let _ended = ended;
            run(owner, &queue, &waiting, &mut *sink, &lost);
        };
        journal.closing = closing;
        journal.thread = Some(std::thread::Builder::new().name(owner.what.to_owned()).spawn(write)?);
        Ok(journal)
    }

    /// One that nobody writes: what it is given can be looked at.
    pub fn unwritten(room: usize) -> (Self, Receiver<Record>) {
        let (sender, receiver) = sync_channel(room.max(1));
        let ended = CancellationToken::new();
        let journal =
            Self { queue: Some(sender), waiting: Arc::default(), closing: Arc::default(), thread: None, ended };
        (journal, receiver)
    }

    /// False when there was no room.
    pub fn write(&self, record: Record) -> bool {
        let size = record.body.len();
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= MOST_BYTES;
        let sent = fits && self.queue.as_ref().is_some_and(|queue| queue.try_send(record).is_ok());
        if !sent {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }

    /// Waits until it was dropped and everything is written.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.ended.clone().cancelled_owned()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It has said itself what went wrong.
            let _ = thread.join();
        }
    }
}

/// Writes in bursts: what is there is written at once.
fn run(owner: Owner, queue: &Receiver<Record>, waiting: &AtomicUsize, sink: &mut dyn Sink, lost: &IntCounter) {
    let mut failed = false;
    while let Ok(first) = queue.recv() {
        let batch: Vec<Record> = std::iter::once(first).chain(queue.try_iter().take(BATCH - 1)).collect();
        let outcome = sink.write(&batch);
        waiting.fetch_sub(batch.iter().map(|record| record.body.len()).sum(), Ordering::Relaxed);
        if let Err(Lost { records, why }) = &outcome {
            lost.inc_by(u64::try_from(*records).unwrap_or_default());
            if !failed {
                tracing::error!(error = %why, "the {} cannot be written, records are lost", owner.what);
            }
        }
        failed = outcome.is_err();
    }
}

struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, batch: &[Record]) -> Result<(), Lost> {
        let text: String = batch.iter().flat_map(|record| [&record.body, "\n"]).collect();
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|why| Lost { records: batch.len(), why })
    }
}

#[cfg(test)]
mod tests;
