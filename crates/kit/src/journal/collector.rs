//! Records to a collector, as OTLP logs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::{Lost, Owner, Sink};
use crate::otlp::{Record, Refused, Sender, Settings};

/// How long a batch is tried: records that come meanwhile wait in the queue.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause between tries; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(100);

/// A collector. It has a runtime of its own, so that the last records are sent when that of the process has ended.
pub(super) struct Collector {
    runtime: Runtime,
    sender: Sender,
    /// Set once nothing more comes: then nothing is tried twice.
    closing: Arc<AtomicBool>,
    failing: bool,
}

impl Collector {
    pub(super) fn new(owner: Owner, settings: &Settings, closing: Arc<AtomicBool>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sender = {
            let _inside = runtime.enter();
            Sender::new(owner.service, owner.version, settings).map_err(io::Error::other)?
        };
        Ok(Self { runtime, sender, closing, failing: false })
    }
}

impl Sink for Collector {
    /// Where a batch is not taken in time, it is lost.
    fn write(&mut self, batch: &[Record]) -> Result<(), Lost> {
        let lost = |records: usize, why: &Refused| Lost { records, why: io::Error::other(why.to_string()) };
        let (begun, mut pause) = (Instant::now(), PAUSE);
        loop {
            let closing = self.closing.load(Ordering::Relaxed);
            if closing && self.failing {
                return Err(lost(batch.len(), &Refused::Now("the process ends".to_owned())));
            }
            match self.runtime.block_on(self.sender.send(batch)) {
                Err(Refused::Now(_)) if !closing && begun.elapsed() < PATIENCE => {
                    self.failing = true;
                    self.runtime.block_on(async { tokio::time::sleep(pause).await });
                    pause *= 2;
                }
                Err(why @ Refused::Some(count, _)) => {
                    return Err(lost(usize::try_from(count).unwrap_or(batch.len()), &why));
                }
                Err(why) => return Err(lost(batch.len(), &why)),
                Ok(()) => {
                    self.failing = false;
                    return Ok(());
                }
            }
        }
    }
}
