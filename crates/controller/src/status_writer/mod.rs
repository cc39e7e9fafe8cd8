//! Writes statuses to the API server: from the leader only, only what differs, and nothing of other controllers.
//!
//! ```text
//! Statuses (what is to be said) ─┐
//!                                ├─▶ what changed ─▶ merge: what has to be written ─▶ PATCH …/status
//! Records (what is said) ────────┘        ▲                                             │
//!                                         └────── conflict, error: again, later ◀───────┘
//! ```

pub mod finalizer;
mod merge;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use api::{Kind, ObjectRef};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use kube::{
    Client,
    core::{
        Request,
        params::{Patch, PatchParams},
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    api_server::{Backoff, FIELD_MANAGER, code, path, words},
    metrics::Metrics,
    source::kube::{Record, Records},
    status::{Said, Statuses, differences},
};

/// Writes at once.
const AT_ONCE: usize = 16;
/// Between two writes to the same object: while many routes come, their Gateway's number of them would be written as often.
const BETWEEN: Duration = Duration::from_millis(200);
/// How long the server may take for one.
const TIME: Duration = Duration::from_secs(10);
/// After a conflict the newer state is heard of soon; if not, it's tried again after this time.
const AFTER_CONFLICT: Duration = Duration::from_secs(1);

/// Writes statuses.
pub struct StatusWriter {
    client: Client,
    controller: String,
    records: Records,
    metrics: Metrics,
    said: Arc<Statuses>,
    queue: BTreeSet<Arc<ObjectRef>>,
    /// What is being written, or waits for its next time.
    busy: HashSet<Arc<ObjectRef>>,
    tasks: FuturesUnordered<BoxFuture<'static, Step>>,
    writing: usize,
    backoffs: HashMap<Arc<ObjectRef>, Backoff>,
    taken: HashMap<Arc<ObjectRef>, Taken>,
}

/// What the server made of what we wrote. It may leave out fields that its CRDs do not have: what was wanted then will
/// never stand there, and writing it again would go on for ever.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    wanted: u64,
    stands: u64,
}

/// What was written.
struct Write {
    reference: Arc<ObjectRef>,
    /// A hash of what was wanted.
    wanted: u64,
    /// The state that it was made for.
    version: Box<str>,
}

/// What a task comes to.
enum Step {
    /// The server's answer to a write.
    Written(Write, Result<Value, kube::Error>),
    /// It's time to look again: what failed is tried again, what was written may have changed since.
    Again(Arc<ObjectRef>),
    /// It's time to look whether there is something to write.
    Look(Arc<ObjectRef>),
}

impl StatusWriter {
    /// Nothing is written yet. `controller` is the name of our entries.
    pub fn new(client: Client, controller: &str, records: Records, metrics: Metrics) -> Self {
        Self {
            client,
            controller: controller.to_owned(),
            records,
            metrics,
            said: Arc::default(),
            queue: BTreeSet::new(),
            busy: HashSet::new(),
            tasks: FuturesUnordered::new(),
            writing: 0,
            backoffs: HashMap::new(),
            taken: HashMap::new(),
        }
    }

    /// Writes while `leads` is true. Returns when the statuses come to an end.
    pub async fn run(mut self, mut statuses: watch::Receiver<Option<Arc<Statuses>>>, mut leads: watch::Receiver<bool>) {
        // Before translation has spoken, nothing said by an earlier process is out of date. It may have nothing to say.
        if statuses.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let mut ticks = self.records.subscribe();
        let mut led = false;
        loop {
            let leader = *leads.borrow_and_update();
            self.hear(&statuses.borrow_and_update().clone().unwrap_or_default());
            self.queue.extend(self.records.take_changed());
            if leader && !led {
                self.queue.extend(self.records.all());
            }
            led = leader;
            if leader {
                self.start();
            } else {
                self.queue.clear();
            }
            self.metrics.status_queue(self.queue.len());
            tokio::select! {
                changed = statuses.changed() => if changed.is_err() { return },
                _ = ticks.changed() => {}
                changed = leads.changed() => if changed.is_err() { return },
                Some(step) = self.tasks.next() => self.step(step),
            }
        }
    }

    /// Notes what is to be said otherwise than before.
    fn hear(&mut self, now: &Arc<Statuses>) {
        if Arc::ptr_eq(now, &self.said) {
            return;
        }
        self.queue.extend(differences(&self.said, now));
        self.said = Arc::clone(now);
    }

    /// Starts as many writes as may go on at once.
    fn start(&mut self) {
        let mut waiting = BTreeSet::new();
        while self.writing < AT_ONCE {
            let Some(reference) = self.queue.pop_first() else { break };
            if self.busy.contains(&reference) {
                waiting.insert(reference);
                continue;
            }
            if let Some(write) = self.write(&reference) {
                self.busy.insert(reference);
                self.writing += 1;
                self.tasks.push(write);
            }
        }
        self.queue.append(&mut waiting);
    }

    /// The write that makes a status say what it has to; `None` when it says so, or there is no such object.
    fn write(&mut self, reference: &Arc<ObjectRef>) -> Option<BoxFuture<'static, Step>> {
        let Some(record) = self.records.get(reference) else {
            self.taken.remove(reference);
            self.backoffs.remove(reference);
            return None;
        };
        let desired = self.said.get(reference).map(|said| Said::status(said));
        let (seen, wanted) = (record.status(), hash(&desired));
        let patch = merge::patch(&seen, desired, &self.controller)?;
        if self.taken.get(reference) == Some(&Taken { wanted, stands: hash(&seen) }) {
            return None;
        }
        let request = request(reference, &record, &patch);
        let write = Write { reference: Arc::clone(reference), wanted, version: record.resource_version };
        let client = self.client.clone();
        Some(Box::pin(async move { Step::Written(write, send(&client, request).await) }))
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Written(write, answer) => {
                self.writing -= 1;
                self.written(write, answer);
            }
            Step::Again(reference) => {
                self.busy.remove(&reference);
                self.queue.insert(reference);
            }
            Step::Look(reference) => drop(self.queue.insert(reference)),
        }
    }

    fn written(&mut self, write: Write, answer: Result<Value, kube::Error>) {
        let Write { reference, wanted, version } = write;
        let count = |outcome: &str| self.metrics.status_written(&reference.kind, outcome);
        match answer {
            Ok(object) => {
                count("written");
                self.backoffs.remove(&reference);
                self.taken.insert(Arc::clone(&reference), Taken { wanted, stands: hash(&object["status"]) });
                // So that the next write need not wait until this one is heard of.
                self.records.wrote(&reference, &version, &object);
                self.later(BETWEEN, Step::Again(reference));
            }
            // It's gone. Its record will go, too.
            Err(error) if code(&error) == Some(404) => drop(self.busy.remove(&reference)),
            Err(error) if code(&error) == Some(409) => {
                count("conflict");
                self.busy.remove(&reference);
                // The newer state comes soon, if it's not there yet.
                let is_there = self.records.get(&reference).is_none_or(|record| record.resource_version != version);
                self.later(if is_there { Duration::ZERO } else { AFTER_CONFLICT }, Step::Look(reference));
            }
            Err(error) => {
                count("error");
                let wait = self.backoffs.entry(Arc::clone(&reference)).or_default().wait();
                tracing::warn!(
                    component = "provider",
                    error = words(&error),
                    ?wait,
                    "the status of {reference} cannot be written"
                );
                self.later(wait, Step::Again(reference));
            }
        }
    }

    fn later(&mut self, wait: Duration, step: Step) {
        self.tasks.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            step
        }));
    }
}

/// A write that fails when there is a newer state than the one it was made for.
fn request(
    reference: &ObjectRef,
    record: &Record,
    patch: &Value,
) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
    let row = Kind::find(&reference.group, &reference.kind).expect("only kinds of the table have records");
    let body = json!({"metadata": {"resourceVersion": record.resource_version}, "status": patch});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    Request::new(path(row, record.version, Some(&reference.namespace))).patch_subresource(
        "status",
        &reference.name,
        &parameters,
        &Patch::Merge(body),
    )
}

async fn send(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Value, kube::Error> {
    let request = request.map_err(kube::Error::BuildRequest)?;
    let silent = |_| kube::Error::Service("the API server does not answer".into());
    tokio::time::timeout(TIME, client.request(request)).await.map_err(silent)?
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
