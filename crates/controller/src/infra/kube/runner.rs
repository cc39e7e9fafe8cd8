//! Makes what is there what is wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use kube::{Client, core::DynamicObject};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    FleetState, Scope, States, Wanted, WantedFleet,
    apply::{self, Failed, MANAGER},
    live::{Key, Live, Said, Seen},
    render::Object,
};

/// How many fleets are written at once: an API server has others to serve.
const AT_ONCE: usize = 8;
/// After how many fleets is looked whether something else is wanted meanwhile.
const TURN: usize = 64;
/// The wait after the first failure; each further one doubles it.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait for an API server that is away: it's back at any moment, and one call at a time costs it nothing.
const AWAY: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// Makes what is there what is wanted.
pub struct Runner {
    client: Client,
    live: Live,
    wanted: Option<Wanted>,
    /// Whose each wanted object is.
    owners: BTreeMap<Key, Arc<str>>,
    /// What was written, and how it looked then: as long as both are the same, there is nothing to do.
    written: BTreeMap<Key, (Object, u64)>,
    /// The fleets that have to be looked at.
    dirty: BTreeSet<Arc<str>>,
    /// Whether there may be objects that nobody wants.
    litter: bool,
    failures: BTreeMap<Arc<str>, Failure>,
}

/// A fleet that could not be written.
struct Failure {
    times: u32,
    until: Instant,
    error: String,
}

/// The failures of deletions are nobody's.
const NOBODY: &str = "";

impl std::fmt::Debug for Runner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runner").field("dirty", &self.dirty).finish_non_exhaustive()
    }
}

impl Runner {
    /// Begins to watch the objects of an instance ([`Settings::instance`](super::render::Settings::instance)), by tasks of the
    /// runtime that it is called in. Nothing is written yet.
    pub fn new(client: Client, scope: &Scope, instance: &str) -> Self {
        let live = Live::start(&client, scope, instance, MANAGER);
        Self {
            client,
            live,
            wanted: None,
            owners: BTreeMap::new(),
            written: BTreeMap::new(),
            dirty: BTreeSet::new(),
            litter: false,
            failures: BTreeMap::new(),
        }
    }

    /// Runs until `stop`; what is there then stays. Nothing is written before `wanted` says something for the first time,
    /// and only while `leader` says so. `states` hears how the fleets are in any case.
    pub async fn run(
        mut self,
        mut wanted: watch::Receiver<Option<Wanted>>,
        mut leader: watch::Receiver<bool>,
        states: watch::Sender<States>,
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = std::pin::pin!(stop);
        let now = wanted.borrow_and_update().clone();
        self.want(now);
        let mut more = false;
        loop {
            let (next, now) = (self.next_try(), Instant::now());
            tokio::select! {
                () = &mut stop => return,
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = wanted.borrow_and_update().clone();
                    self.want(now);
                }
                changed = leader.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // Another leader may have written meanwhile.
                    self.look_at_all();
                }
                said = self.live.next() => {
                    self.hear(said);
                    // Much is said at once where much changes: it's looked at once.
                    while let Some(said) = self.live.more() {
                        self.hear(said);
                    }
                }
                () = sleep_until(next), if next > now => {}
                () = std::future::ready(()), if more => {}
            }
            more = *leader.borrow_and_update() && self.work(&leader).await;
            self.tell(&states);
        }
    }

    fn want(&mut self, wanted: Option<Wanted>) {
        let Some(wanted) = wanted else { return };
        let before = self.wanted.as_ref();
        let changed = |(name, fleet): &(&Arc<str>, &Arc<WantedFleet>)| {
            !before.and_then(|before| before.get(*name)).is_some_and(|before| Arc::ptr_eq(before, fleet))
        };
        let changed: Vec<_> = wanted.iter().filter(changed).map(|(name, _)| Arc::clone(name)).collect();
        for name in &changed {
            // What is wanted now may be right.
            self.failures.remove(name);
        }
        self.dirty.extend(changed);
        let objects = wanted.iter().flat_map(|(name, fleet)| {
            fleet.objects.iter().flatten().map(move |object| (key(object), Arc::clone(name)))
        });
        self.owners = objects.collect();
        self.written.retain(|key, _| self.owners.contains_key(key));
        self.failures.retain(|name, _| wanted.contains_key(name) || &**name == NOBODY);
        self.litter = true;
        self.wanted = Some(wanted);
    }

    fn look_at_all(&mut self) {
        self.dirty.extend(self.wanted.iter().flat_map(|wanted| wanted.keys().cloned()));
        self.litter = true;
    }

    fn hear(&mut self, said: Said) {
        for key in self.live.take(said) {
            match self.owners.get(&key) {
                Some(owner) => drop(self.dirty.insert(Arc::clone(owner))),
                None => self.litter = true,
            }
        }
    }

    /// When the next fleet that failed is tried again.
    fn next_try(&self) -> Instant {
        let due = self.failures.values().map(|failure| failure.until).min();
        due.unwrap_or_else(|| Instant::now() + LONGEST)
    }

    /// Writes what differs, for some fleets. Returns whether there is more to do.
    async fn work(&mut self, leader: &watch::Receiver<bool>) -> bool {
        let Some(wanted) = self.wanted.clone().filter(|_| self.live.is_synced()) else { return false };
        let now = Instant::now();
        let is_due = |failure: &Failure| failure.until <= now;
        let retried = self.failures.iter().filter(|(_, failure)| is_due(failure));
        let retried: Vec<_> = retried.map(|(name, _)| Arc::clone(name)).collect();
        self.litter |= retried.iter().any(|name| &**name == NOBODY);
        self.dirty.extend(retried.into_iter().filter(|name| wanted.contains_key(name)));
        let can = |name: &&Arc<str>| self.failures.get(*name).is_none_or(is_due);
        let turn: Vec<Arc<str>> = self.dirty.iter().filter(can).take(TURN).cloned().collect();
        for name in &turn {
            self.dirty.remove(name);
        }
        let works = turn.iter().filter_map(|name| Some((name, wanted.get(name)?)));
        let works = works.map(|(name, fleet)| self.fleet(name, fleet, leader)).collect::<Vec<_>>();
        let done: Vec<_> = stream::iter(works).buffer_unordered(AT_ONCE).collect().await;
        for (name, written, errors) in done {
            for (object, seen) in written {
                let key = key(&object);
                self.written.insert(key.clone(), (object, seen.fingerprint));
                self.live.objects.insert(key, seen);
            }
            self.note(&name, errors.into_iter().next());
        }
        if std::mem::take(&mut self.litter) && *leader.borrow() {
            let error = self.tidy(&wanted).await;
            self.note(&Arc::from(NOBODY), error);
        }
        self.dirty.iter().any(|name| self.failures.get(name).is_none_or(is_due))
    }

    /// Writes those of a fleet's objects that differ. One that fails does not keep the others.
    async fn fleet(
        &self,
        name: &Arc<str>,
        fleet: &WantedFleet,
        leader: &watch::Receiver<bool>,
    ) -> (Arc<str>, Vec<(Object, Seen)>, Vec<Failed>) {
        let (mut written, mut errors) = (Vec::new(), Vec::new());
        for object in fleet.objects.iter().flatten() {
            let live = self.live.objects.get(&key(object));
            if !*leader.borrow() || self.is_as_written(object, live) {
                continue;
            }
            match apply::apply(&self.client, object, live).await {
                Ok(seen) => written.push((object.clone(), seen)),
                Err(error) => errors.push(error),
            }
        }
        (Arc::clone(name), written, errors)
    }

    fn is_as_written(&self, object: &Object, live: Option<&Seen>) -> bool {
        let written = self.written.get(&key(object));
        let (Some((written, fingerprint)), Some(live)) = (written, live) else { return false };
        written == object && *fingerprint == live.fingerprint
    }

    /// Deletes what nobody wants. A fleet that cannot be written, or of which nobody can say what it wants, keeps what it has.
    async fn tidy(&self, wanted: &Wanted) -> Option<Failed> {
        let kept: Vec<_> = wanted
            .iter()
            .filter(|(name, fleet)| {
                fleet.objects.is_none() || self.failures.contains_key(*name) || self.dirty.contains(*name)
            })
            .map(|(_, fleet)| &fleet.owner)
            .collect();
        let is_litter = |(key, seen): &(&Key, &Seen)| {
            !self.owners.contains_key(*key)
                && seen.object.metadata.deletion_timestamp.is_none()
                && !kept.iter().any(|owner| is_of(owner, &seen.object))
        };
        let litter = self.live.objects.iter().filter(is_litter);
        let deletions = litter.map(|(key, seen)| apply::delete(&self.client, key, &seen.object)).collect::<Vec<_>>();
        let done: Vec<_> = stream::iter(deletions).buffer_unordered(AT_ONCE).collect().await;
        done.into_iter().find_map(Result::err)
    }

    fn note(&mut self, name: &Arc<str>, failed: Option<Failed>) {
        let Some(Failed { words: error, passes }) = failed else {
            if self.failures.remove(name).is_some() {
                // What it kept may be deleted now.
                self.litter = true;
            }
            return;
        };
        let times = self.failures.get(name).map_or(0, |failure| failure.times);
        let wait = SHORTEST.saturating_mul(1 << times.min(6)).min(if passes { AWAY } else { LONGEST });
        tracing::warn!(component = "infrastructure", fleet = &**name, error, ?wait, "objects cannot be written");
        let failure = Failure { times: times + 1, until: Instant::now() + wait, error };
        self.failures.insert(Arc::clone(name), failure);
    }

    fn tell(&self, states: &watch::Sender<States>) {
        let Some(wanted) = self.wanted.as_ref().filter(|_| self.live.is_synced()) else { return };
        let nodes = self.live.nodes();
        let mut now: BTreeMap<Arc<str>, FleetState> = BTreeMap::new();
        for name in wanted.keys() {
            let error = self.failures.get(name).map(|failure| failure.error.clone());
            now.insert(Arc::clone(name), FleetState { error, ..FleetState::default() });
        }
        for (key, owner) in &self.owners {
            if let (Some(state), Some(seen)) = (now.get_mut(owner), self.live.objects.get(key)) {
                state.add(key.0, &seen.object, &nodes);
            }
        }
        // Of fleets that stay as they are, what is there.
        for (name, fleet) in wanted.iter().filter(|(_, fleet)| fleet.objects.is_none()) {
            let own = self.live.objects.iter().filter(|(_, seen)| is_of(&fleet.owner, &seen.object));
            let state = now.entry(Arc::clone(name)).or_default();
            own.for_each(|(key, seen)| state.add(key.0, &seen.object, &nodes));
        }
        states.send_if_modified(|before| {
            let changed = **before != now;
            if changed {
                *before = Arc::new(now);
            }
            changed
        });
    }
}

/// Whether an object has all the labels of an owner.
fn is_of(owner: &BTreeMap<String, String>, object: &DynamicObject) -> bool {
    let labels = object.metadata.labels.as_ref();
    owner.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn key(object: &Object) -> Key {
    (object.kind, object.namespace.clone(), object.name.clone())
}
