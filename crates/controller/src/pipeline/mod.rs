//! From resources to what Envoys get, as one function of its input and of what is remembered.
//!
//! ```text
//! Resources ─▶ translate ─▶ ir::Gateway, Reports ─▶ lower ─▶ snapshot of each fleet, with a revision
//!     └── only end points changed ──────────────────────────▶ its end points
//! ```
//!
//! The server, the command `translate` and the benchmarks all go this way.

mod endpoints;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use api::Resources;
use endpoints::Moved;
use envoy::type_url;
use lower::{Lowered, lower};
use translate::{Changed, Reports, Translation, Translator};
use xds::Snapshot;

/// What the controller's configuration decides.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// For translation.
    pub translate: translate::Options,
    /// For lowering.
    pub lower: lower::Settings,
}

/// One fleet: what it serves and what its Envoys get.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The resolved gateway.
    pub gateway: Arc<ir::Gateway>,
    /// Envoy's resources, with what they were made from.
    pub lowered: Arc<Lowered>,
    /// The same and the end points, as they are sent. Its revision is that of the change that made it.
    pub snapshot: Arc<Snapshot>,
}

/// What became of some resources.
#[derive(Clone, Debug)]
pub struct Output {
    /// The number of this output. Later ones have higher numbers.
    pub revision: u64,
    /// What it was made from.
    pub resources: Resources,
    /// The fleets by name. An unchanged one is the same `Arc` as the time before.
    pub fleets: BTreeMap<Arc<str>, Arc<Fleet>>,
    /// The names of fleets that stay as they are, if they are there ([`translate::Translation::staying`]). Those that were
    /// known before are among the fleets.
    pub staying: BTreeSet<Arc<str>>,
    /// What is to be said of each resource.
    pub reports: Reports,
    /// Where that is something else than in the output before.
    pub changed: Changed,
    /// How long it took.
    pub times: Times,
}

/// How long each step took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Resources to resolved gateways; nothing when only end points changed.
    pub translate: Duration,
    /// Resolved gateways to Envoy's resources.
    pub lower: Duration,
    /// End points, versions and snapshots.
    pub snapshot: Duration,
}

/// What is remembered, so that a change costs the work of the change.
#[derive(Debug)]
pub struct State {
    settings: Settings,
    translator: Translator,
    memos: BTreeMap<Arc<str>, lower::Memo>,
    last: Option<Output>,
}

impl State {
    /// Nothing is remembered.
    pub fn new(settings: Settings) -> Self {
        let translator = Translator::new(settings.translate.clone());
        Self { settings, translator, memos: BTreeMap::new(), last: None }
    }
}

/// What becomes of the resources. The output does not depend on the state, but for the numbers of revisions, and for fleets that
/// stay as they are.
pub fn compile(resources: &Resources, state: &mut State) -> Output {
    let start = Instant::now();
    let moved = Moved::between(state.last.as_ref().map(|last| &last.resources), resources);
    let (gateways, staying, reports, changed) =
        match state.last.as_ref().filter(|last| only_endpoints_differ(&last.resources, resources)) {
            Some(last) => {
                let gateways = last.fleets.values().map(|fleet| Arc::clone(&fleet.gateway));
                (gateways.collect(), last.staying.clone(), last.reports.clone(), Changed::default())
            }
            None => {
                let Translation { gateways, staying, reports, changed } = state.translator.translate(resources);
                (with_staying(gateways, &staying, state.last.as_ref()), staying, reports, changed)
            }
        };
    let translated = Instant::now();
    let lowered = lower_all(&gateways, state);
    let done = Instant::now();
    let revision = state.last.as_ref().map_or(1, |last| last.revision + 1);
    let seen_by_staying = if staying.is_empty() { Moved::default() } else { moved.but_aside(resources) };
    let fleets = gateways.iter().zip(lowered);
    let fleets = fleets.map(|(gateway, lowered)| {
        let moved = if staying.contains(&gateway.name) { &seen_by_staying } else { &moved };
        (Arc::clone(&gateway.name), fleet(gateway, lowered, (resources, moved), revision, state))
    });
    let fleets = fleets.collect();
    let times = Times { translate: translated - start, lower: done - translated, snapshot: done.elapsed() };
    let output = Output { revision, resources: resources.clone(), fleets, staying, reports, changed, times };
    state.last = Some(output.clone());
    output
}

/// The gateways, and as they were before those that stay.
fn with_staying(
    gateways: Vec<Arc<ir::Gateway>>,
    staying: &BTreeSet<Arc<str>>,
    last: Option<&Output>,
) -> Vec<Arc<ir::Gateway>> {
    let before = |name| last.and_then(|last| last.fleets.get(name)).map(|fleet| Arc::clone(&fleet.gateway));
    let known = staying.iter().filter(|name| gateways.iter().all(|gateway| gateway.name != **name));
    let known: Vec<_> = known.filter_map(before).collect();
    gateways.into_iter().chain(known).collect()
}

fn only_endpoints_differ(before: &Resources, now: &Resources) -> bool {
    before.same_surroundings(now)
        && api::RouteKind::ALL.into_iter().all(|kind| before.routes(kind).same(now.routes(kind)))
}

/// Envoy's resources of each gateway; those of an unchanged one are kept.
fn lower_all(gateways: &[Arc<ir::Gateway>], state: &mut State) -> Vec<Arc<Lowered>> {
    state.memos.retain(|name, _| gateways.iter().any(|gateway| gateway.name == *name));
    let lowered = gateways.iter().map(|gateway| {
        let before = state.last.as_ref().and_then(|last| last.fleets.get(&gateway.name));
        match before.filter(|before| Arc::ptr_eq(&before.gateway, gateway)) {
            Some(before) => Arc::clone(&before.lowered),
            None => {
                let memo = state.memos.entry(Arc::clone(&gateway.name)).or_default();
                Arc::new(lower(gateway, &state.settings.lower, memo))
            }
        }
    });
    lowered.collect()
}

/// The fleet with its snapshot; the one before when both are the same.
fn fleet(
    gateway: &Arc<ir::Gateway>,
    lowered: Arc<Lowered>,
    (resources, moved): (&Resources, &Moved),
    revision: u64,
    state: &State,
) -> Arc<Fleet> {
    let before = state.last.as_ref().and_then(|last| last.fleets.get(&gateway.name));
    let endpoints = endpoints::resources(before.map(|before| &**before), gateway, moved, &resources.endpoint_slices);
    let mut builder = match before {
        Some(before) => before.snapshot.next(revision),
        None => Snapshot::builder(revision),
    };
    for (url, resources) in &lowered.resources {
        if before.and_then(|before| before.lowered.of_type(url)).is_some_and(|before| Arc::ptr_eq(before, resources)) {
            continue;
        }
        builder = builder.set(url, resources.iter().map(|(name, resource)| (name, resource.bytes.clone())));
    }
    let snapshot = builder.set_resources(type_url::ENDPOINT, endpoints).build();
    match before {
        Some(before) if is_same(&before.snapshot, &snapshot) => {
            if Arc::ptr_eq(&before.gateway, gateway) {
                return Arc::clone(before);
            }
            let snapshot = Arc::clone(&before.snapshot);
            Arc::new(Fleet { gateway: Arc::clone(gateway), lowered, snapshot })
        }
        _ => Arc::new(Fleet { gateway: Arc::clone(gateway), lowered, snapshot }),
    }
}

fn is_same(before: &Snapshot, now: &Snapshot) -> bool {
    now.types().all(|(url, resources)| before.resources(url).is_same(resources))
}
