//! The heart of the server: a thread that turns every change of the input, and every answer of Envoy, into output.
//!
//! ```text
//! Seen (files) ──┐                ┌─▶ xds::Cache          what Envoys get
//!                ├─▶ compile ─▶───┼─▶ Output, Wanted      what is shown, which Envoys are run
//! Ledger (ACKs) ─┘      ▲         └─▶ Statuses
//!                       └── Facts: what Envoy and services refused
//! ```

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::Facts;
use envoy::type_url::{LISTENER, ROUTE, SCOPED_ROUTE};
use tokio::sync::watch;
use translate::Changed;
use xds::{Cache, Ledger};

use crate::{
    infra::{Planner, kube::States},
    latency::Latency,
    metrics::Metrics,
    nack::Nacks,
    pipeline::{Output, State, compile},
    programmed::Progress,
    services::Refusals,
    source::Seen,
    status::{StatusBook, Statuses},
};

/// What the engine makes, to be watched.
#[derive(Clone, Debug)]
pub struct Outlets {
    /// The last output; `None` before the first.
    pub output: watch::Sender<Option<Arc<Output>>>,
    /// The status of every resource; `None` before the first translation, which may have nothing to say.
    pub statuses: watch::Sender<Option<Arc<Statuses>>>,
    /// What Envoys get.
    pub cache: Cache,
}

impl Default for Outlets {
    fn default() -> Self {
        Self { output: watch::Sender::new(None), statuses: watch::Sender::new(None), cache: Cache::new() }
    }
}

/// Waits until then; for ever where there is nothing to wait for.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// What has been waited for.
enum Event {
    /// Something was read.
    Seen,
    /// An Envoy answered, came or went.
    Answer,
    /// A fleet in the cluster changed.
    Fleets,
    /// The single sign-on service refused something, or took what it had refused.
    Logins,
    /// Something that Envoy refused gets another chance.
    Due,
    /// Time went by: certificates come to their end.
    Time,
    /// A source came to its end.
    End,
}

/// How often it is planned anew though nothing changed.
const PLAN_AGAIN: Duration = Duration::from_secs(600);

/// Waits for a change; for ever where there is nothing to change.
async fn changed<T>(what: &mut Option<watch::Receiver<T>>) {
    if let Some(what) = what
        && what.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Turns input into output.
#[derive(Debug)]
pub struct Engine {
    state: State,
    nacks: Nacks,
    progress: Progress,
    book: StatusBook,
    outlets: Outlets,
    metrics: Metrics,
    latency: Latency,
    planner: Option<Planner>,
    /// How fleets in the cluster are; `None` where that is not for the cluster to say.
    fleets: Option<watch::Receiver<States>>,
    /// What the single sign-on service refuses; `None` where there is none.
    refused_logins: Option<watch::Receiver<Arc<Refusals>>>,
    /// Whose reports changed since statuses were told.
    untold: Changed,
}

impl Engine {
    /// Nothing is done yet. `controller` is the name in statuses; with a planner Envoys are run.
    pub fn new(state: State, controller: &str, outlets: Outlets, metrics: Metrics, planner: Option<Planner>) -> Self {
        let book = StatusBook::new(controller);
        Self {
            state,
            nacks: Nacks::default(),
            progress: Progress::default(),
            book,
            outlets,
            metrics,
            latency: Latency::default(),
            planner,
            fleets: None,
            refused_logins: None,
            untold: Changed::default(),
        }
    }

    /// Has statuses say how the fleets in the cluster are.
    #[must_use]
    pub fn with_fleets(mut self, fleets: watch::Receiver<States>) -> Self {
        self.fleets = Some(fleets);
        self
    }

    /// Has statuses say what the single sign-on service refuses.
    #[must_use]
    pub fn with_refused_logins(mut self, refused: watch::Receiver<Arc<Refusals>>) -> Self {
        self.refused_logins = Some(refused);
        self
    }

    /// Runs until a source ends. Blocks: it wants a thread of its own, inside of a runtime.
    pub fn run(mut self, mut seen: watch::Receiver<Seen>, mut ledger: watch::Receiver<Arc<Ledger>>) {
        let runtime = tokio::runtime::Handle::current();
        self.look_at_fleets();
        let mut output = self.take(&seen.borrow_and_update().clone());
        loop {
            let answers = Arc::clone(&ledger.borrow_and_update());
            while self.nacks.observe(&output, &answers, Instant::now()) {
                output = self.again(&output);
            }
            self.tell(&output, &answers);
            let due = self.nacks.due();
            let event = runtime.block_on(async {
                tokio::select! {
                    changed = seen.changed() => changed.map_or(Event::End, |()| Event::Seen),
                    changed = ledger.changed() => changed.map_or(Event::End, |()| Event::Answer),
                    () = changed(&mut self.fleets) => Event::Fleets,
                    () = changed(&mut self.refused_logins) => Event::Logins,
                    () = at(due) => Event::Due,
                    () = tokio::time::sleep(PLAN_AGAIN) => Event::Time,
                }
            });
            match event {
                Event::Seen => output = self.take(&seen.borrow_and_update().clone()),
                Event::Answer | Event::Due => {}
                Event::Fleets => {
                    if self.look_at_fleets() {
                        output = self.again(&output);
                    }
                }
                Event::Logins => {
                    if self.look_at_refused_logins() {
                        output = self.again(&output);
                    }
                }
                Event::Time => self.planner.iter_mut().for_each(|planner| planner.make(&output)),
                Event::End => return,
            }
        }
    }

    /// Takes note of where fleets are reached. True when that changed.
    fn look_at_fleets(&mut self) -> bool {
        let Some(fleets) = &mut self.fleets else { return false };
        let states = Arc::clone(&fleets.borrow_and_update());
        let pair = |address: &translate::report::Address| (address.r#type.clone(), address.value.clone());
        let addresses =
            states.iter().map(|(name, state)| (Arc::clone(name), state.addresses.iter().map(pair).collect())).collect();
        self.nacks.take_addresses(addresses)
    }

    /// Takes note of what the single sign-on service refuses. True when that changed.
    fn look_at_refused_logins(&mut self) -> bool {
        let Some(refused) = &mut self.refused_logins else { return false };
        self.nacks.take_refused_logins(&refused.borrow_and_update().clone())
    }

    fn take(&mut self, seen: &Seen) -> Arc<Output> {
        let mut resources = seen.resources.clone();
        resources.facts = Arc::clone(self.nacks.facts());
        self.make(&resources)
    }

    /// The same resources with other facts.
    fn again(&mut self, output: &Output) -> Arc<Output> {
        let mut resources = output.resources.clone();
        let facts: &Arc<Facts> = self.nacks.facts();
        resources.facts = Arc::clone(facts);
        self.make(&resources)
    }

    fn make(&mut self, resources: &api::Resources) -> Arc<Output> {
        let started = Instant::now();
        let output = Arc::new(compile(resources, &mut self.state));
        self.metrics.translated(&output.times);
        self.publish(&output, started);
        self.progress.note(&output);
        self.untold.add(&output.changed);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(component = "gateway-api", revision = output.revision, micros, times = ?output.times, "translated");
        output
    }

    fn publish(&mut self, output: &Arc<Output>, since: Instant) {
        let before = self.outlets.output.borrow().clone();
        let fleets_before = before.iter().flat_map(|before| &before.fleets);
        for (name, _) in fleets_before.filter(|(name, _)| !output.fleets.contains_key(*name)) {
            self.outlets.cache.remove(name);
            self.metrics.forget(name);
        }
        for (name, fleet) in &output.fleets {
            let known = before.as_ref().and_then(|before| before.fleets.get(name));
            if !known.is_some_and(|known| Arc::ptr_eq(&known.snapshot, &fleet.snapshot)) {
                // Before Envoys answer: nothing is counted of a fleet that metrics do not know.
                self.metrics.snapshot(name);
                self.outlets.cache.set(name, Arc::clone(&fleet.snapshot));
                // The ledger tells of these types when Envoys have them; of the others nothing would be measured.
                let is_same = |url: &&str| {
                    known.is_some_and(|known| known.snapshot.resources(url).is_same(&fleet.snapshot.resources(url)))
                };
                if ![LISTENER, SCOPED_ROUTE, ROUTE].iter().all(is_same) {
                    self.latency.sent(name, fleet.snapshot.revision(), since);
                }
            }
        }
        if let Some(planner) = &mut self.planner {
            planner.make(output);
        }
        self.outlets.output.send_replace(Some(Arc::clone(output)));
    }

    fn tell(&mut self, output: &Output, ledger: &Ledger) {
        let is_connected = |fleet: &str| ledger.group(fleet).next().is_some();
        let took = self.latency.acknowledged(|fleet| ledger.acked(fleet), is_connected, Instant::now());
        took.into_iter().for_each(|took| self.metrics.acknowledged(took));
        let now = now();
        let mut refused = self.nacks.refused();
        refused.extend(self.planner.iter().flat_map(Planner::errors));
        let there = self.fleets.as_ref().map(|fleets| Arc::clone(&fleets.borrow()));
        let programmed =
            |reference: &_, report: &_| self.progress.of(reference, report, ledger, &refused, there.as_deref());
        if let Changed::Some(changed) = &mut self.untold {
            changed.extend(self.progress.waiting().cloned());
        }
        let any = self.book.update(&output.reports, &std::mem::take(&mut self.untold), programmed, &now);
        if any || self.outlets.statuses.borrow().is_none() {
            self.outlets.statuses.send_replace(Some(Arc::clone(self.book.statuses())));
        }
    }
}

/// The time as conditions have it: RFC 3339 in seconds.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
