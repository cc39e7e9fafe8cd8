//! Resources from the API server.
//!
//! ```text
//! watcher, one a kind (and namespace) ─▶ store: what is in force ─▶ Seen
//!      ▲ documents, read and slimmed        │ ▲                └──▶ Records: what a writer of status has to know
//!      └ CRDs came or went                  ▼ │
//!                                  fetch: Secrets and ConfigMaps that are referred to
//! ```
//!
//! What is watched follows from [`api::KINDS`]. A malformed object is told and its last good version stays; a server that
//! cannot be asked is told and everything stays.

mod crds;
mod feed;
mod fetch;
mod pace;
mod read;
mod records;
mod slim;
mod store;
#[cfg(test)]
mod tests;
mod watcher;

use std::sync::Arc;

use api::{
    KINDS, Kind, LabelSelector, Scope,
    config::{Watch, WatchType},
};
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

pub use crds::CRDS;
pub use records::{Record, Records};

use super::{Seen, tell_problems};
use pace::Pace;
use store::Store;
use watcher::{Chosen, Event, Form, Shared, Watcher};

/// What watchers have told and the store has not taken yet: a page of a list.
const QUEUE: usize = 256;
/// What the store takes at once, before it looks at the clock.
const BATCH: usize = 1024;
/// Releases of Helm: the bulk of a cluster's Secrets, and never a certificate.
const NO_RELEASES: &str = "type!=helm.sh/release.v1";

/// Follows the API server. It ends when this is dropped.
#[derive(Debug)]
pub struct KubeSource {
    seen: watch::Receiver<Seen>,
    listed: watch::Receiver<bool>,
    records: Records,
    _tasks: JoinSet<()>,
}

impl KubeSource {
    /// Begins to read everything, of all namespaces or of those that are given. Resources come with the first
    /// [`KubeSource::listed`]; until then there are only problems to see.
    pub fn start(client: &Client, namespaces: Option<&Watch>) -> Self {
        let watchers = watchers(namespaces);
        let records = Records::default();
        let by_label = namespaces.is_some_and(|watch| watch.r#type == WatchType::NamespaceSelector);
        let store = Store::new(&watchers, by_label, client.clone(), records.clone());
        let (events, inbox) = mpsc::channel(QUEUE);
        let (sender, seen) = watch::channel(Seen::default());
        let (listed_sender, listed) = watch::channel(false);
        let (crds_sender, crds) = watch::channel(());
        let (chosen_sender, chosen) = watch::channel(None);
        let shared = Shared { client: client.clone(), events, crds, chosen: by_label.then_some(chosen) };
        let mut tasks = JoinSet::new();
        tasks.spawn(crds::follow(client.clone(), crds_sender));
        for watcher in watchers {
            tasks.spawn(watcher.run(shared.clone()));
        }
        let outlets = Outlets { seen: sender, listed: listed_sender, chosen: by_label.then_some(chosen_sender) };
        tasks.spawn(run(store, inbox, outlets));
        Self { seen, listed, records, _tasks: tasks }
    }

    /// What is read, as it changes.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Whether everything was read once.
    pub fn listed(&self) -> watch::Receiver<bool> {
        self.listed.clone()
    }

    /// What the API server has of each object with a status.
    pub fn records(&self) -> &Records {
        &self.records
    }
}

/// The watchers that a configuration asks for.
fn watchers(namespaces: Option<&Watch>) -> Vec<Watcher> {
    let mut watchers = Vec::new();
    for row in KINDS {
        match namespaces {
            Some(watch)
                if watch.r#type == WatchType::Namespaces && (row.scope == Scope::Namespaced || is_namespace(row)) =>
            {
                for name in &watch.namespaces {
                    watchers.push(in_namespace(watchers.len(), row, name));
                }
            }
            _ => {
                let labels =
                    namespaces.and_then(|watch| watch.namespace_selector.as_ref()).filter(|_| is_namespace(row));
                watchers.push(Watcher { labels: labels.map(selector), ..everywhere(watchers.len(), row) });
            }
        }
    }
    watchers
}

fn is_namespace(row: &Kind) -> bool {
    row.group.is_empty() && row.kind == "Namespace"
}

fn everywhere(id: watcher::Id, row: &'static Kind) -> Watcher {
    let form = form(row);
    let fields = (row.kind == "Secret").then(|| NO_RELEASES.to_owned());
    Watcher { id, row, namespace: None, form, labels: None, fields }
}

fn form(row: &Kind) -> Form {
    match row.kind {
        "Secret" | "ConfigMap" => Form::Touched,
        _ => Form::Whole,
    }
}

/// Whether all else goes on where a kind may not be read: a version that is new reads more than the roles of an older one
/// allow. That goes for kinds of which something that refers to them fails without them; without policies it would pass.
fn is_optional(row: &Kind) -> bool {
    let extension = row.group == api::ext::GROUP && ["Backend", "HTTPRouteFilter"].contains(&row.kind);
    extension || row.kind == "ServiceImport"
}

/// What has to be allowed for a kind to be read.
pub fn verbs(row: &Kind) -> &'static [&'static str] {
    match form(row) {
        Form::Touched => &["get", "list", "watch"],
        Form::Whole | Form::OneNamespace => &["list", "watch"],
    }
}

fn in_namespace(id: watcher::Id, row: &'static Kind, name: &str) -> Watcher {
    match is_namespace(row) {
        true => {
            let fields = Some(format!("metadata.name={name}"));
            Watcher { form: Form::OneNamespace, fields, ..everywhere(id, row) }
        }
        false => Watcher { namespace: Some(name.into()), ..everywhere(id, row) },
    }
}

/// A selector of labels as a query has it.
fn selector(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let (key, values) = (&expression.key, expression.values.as_deref().unwrap_or_default().join(","));
        match expression.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            // It was found to be one of four when the configuration was read.
            _ => key.clone(),
        }
    });
    equal.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Where the store's contents go.
struct Outlets {
    seen: watch::Sender<Seen>,
    listed: watch::Sender<bool>,
    /// With namespaces that are chosen by label.
    chosen: Option<watch::Sender<Chosen>>,
}

/// Takes what watchers tell into the store and publishes what comes of it, until nobody wants to know any more.
async fn run(mut store: Store, mut inbox: mpsc::Receiver<Event>, outlets: Outlets) {
    let mut pace = Pace::default();
    loop {
        let due = pace.due(store.fetcher.is_waiting());
        let changed = tokio::select! {
            event = inbox.recv() => {
                let Some(event) = event else { return };
                take(&mut store, event, &outlets);
                for _ in 0..BATCH {
                    let Ok(event) = inbox.try_recv() else { break };
                    take(&mut store, event, &outlets);
                }
                true
            }
            answer = store.fetcher.next() => {
                store.fetched(answer);
                true
            }
            () = pace::until(due) => false,
        };
        if changed {
            pace.changed();
        }
        if pace.is_due(store.fetcher.is_waiting()) {
            pace.published();
            publish(&store, &outlets);
        }
    }
}

fn take(store: &mut Store, event: Event, outlets: &Outlets) {
    let (Event::Begun(id) | Event::Put(id, _) | Event::Gone(id, _) | Event::Listed(id) | Event::Trouble(id, _)) =
        &event;
    let may_choose = store.is_of_namespaces(*id);
    match event {
        Event::Begun(id) => store.begin(id),
        Event::Put(id, item) => store.put(id, *item),
        Event::Gone(id, reference) => store.gone(id, &reference),
        Event::Listed(id) => store.listed(id),
        Event::Trouble(id, trouble) => store.trouble(id, trouble),
    }
    if let Some(chosen) = outlets.chosen.as_ref().filter(|_| may_choose) {
        choose(store, chosen);
    }
}

/// Tells the namespaces that are chosen by label, once they are known.
fn choose(store: &Store, chosen: &watch::Sender<Chosen>) {
    if !store.knows_namespaces() {
        return;
    }
    let same = chosen.borrow().as_ref().is_some_and(|chosen| store.has_namespaces(chosen));
    if !same {
        chosen.send_replace(Some(Arc::new(store.namespaces())));
    }
}

fn publish(store: &Store, outlets: &Outlets) {
    let mut now = store.seen();
    let was_listed = *outlets.listed.borrow();
    let is_listed = was_listed || (store.is_listed() && !store.fetcher.is_waiting());
    if !is_listed {
        // Half of a cluster is not to be acted upon.
        now.resources = api::Resources::default();
    }
    let before = outlets.seen.borrow().clone();
    let same_problems = before.problems == now.problems;
    if !same_problems {
        tell_problems(&now, &before);
    }
    if !same_problems || !before.resources.same(&now.resources) {
        outlets.seen.send_replace(now);
    }
    if is_listed && !was_listed {
        tracing::info!(component = "provider", "everything is read");
        outlets.listed.send_replace(true);
    }
}
