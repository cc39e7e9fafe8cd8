//! Entries to a collector, as OTLP logs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use kit::otlp::{Record, Refused, Sender, Settings, Severity, Value};
use tokio::runtime::{Builder, Runtime};

use super::entry::Entry;
use super::sink::{Item, Lost, Target};

/// How many entries are sent at a time.
const BATCH: usize = 256;
/// How long a batch is tried: entries that come meanwhile wait in the queue.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause between tries; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(100);

/// A collector. It has a runtime of its own, so that the last entries are sent when that of the process has ended.
pub(super) struct Collector {
    runtime: Runtime,
    sender: Sender,
    batch: Vec<Record>,
    /// Set once nothing more comes: then nothing is tried twice.
    closing: Arc<AtomicBool>,
    failing: bool,
}

impl Collector {
    pub(super) fn new(settings: &Settings, closing: Arc<AtomicBool>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sender = {
            let _inside = runtime.enter();
            Sender::new("waf", env!("CARGO_PKG_VERSION"), settings).map_err(io::Error::other)?
        };
        Ok(Self { runtime, sender, batch: Vec::new(), closing, failing: false })
    }

    /// Sends what there is; where that is not taken in time, it is lost.
    fn send(&mut self) -> Result<(), Lost> {
        let batch = std::mem::take(&mut self.batch);
        let lost = |count: usize, why: &Refused| Lost { entries: count as u64, why: io::Error::other(why.to_string()) };
        let (begun, mut pause) = (Instant::now(), PAUSE);
        loop {
            let closing = self.closing.load(Ordering::Relaxed);
            if closing && self.failing {
                return Err(lost(batch.len(), &Refused::Now("the process ends".to_owned())));
            }
            match self.runtime.block_on(self.sender.send(&batch)) {
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

impl Target for Collector {
    fn write(&mut self, item: Item) -> Result<(), Lost> {
        self.batch.push(record(item));
        if self.batch.len() < BATCH { Ok(()) } else { self.send() }
    }

    fn flush(&mut self) -> Result<(), Lost> {
        if self.batch.is_empty() { Ok(()) } else { self.send() }
    }
}

/// The entry as it is written elsewhere, and what is searched for as attributes.
fn record(item: Item) -> Record {
    let Item { text, entry } = item;
    let Entry { id, client, method, host, route, profile, verdict, status, score, rules, .. } = entry;
    let severity = match verdict.as_str() {
        "failure" => Severity::Error,
        "block" | "detect" => Severity::Warn,
        _ => Severity::Info,
    };
    let mut attributes = vec![
        ("client.address", Value::Text(client)),
        ("server.address", Value::Text(host)),
        ("http.request.method", Value::Text(method)),
        ("waf.request", Value::Text(id)),
        ("waf.route", Value::Text(route)),
        ("waf.profile", Value::Text(profile)),
        ("waf.verdict", Value::Text(verdict)),
        ("waf.score", Value::Number(score.into())),
        ("waf.rules", Value::Numbers(rules.iter().map(|found| found.rule.into()).collect())),
    ];
    attributes.extend(status.map(|status| ("http.response.status_code", Value::Number(status.into()))));
    Record { time: SystemTime::now(), severity, event: "waf.audit", body: text.trim_end().to_owned(), attributes }
}
