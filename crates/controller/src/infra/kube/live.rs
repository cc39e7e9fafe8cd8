//! What is there of our objects, followed by watches.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    core::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinSet};
use translate::report::Address;

use super::{Kind, render, state};
use crate::api_server::Backoff;

/// How much may be said before it is heard: watches wait while we write.
const BOUND: usize = 256;

/// Names one of our objects: kind, namespace, name.
pub(super) type Key = (Kind, String, String);

/// Where our objects are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In all namespaces.
    All,
    /// In these only: no right is needed in others.
    Namespaces(Vec<String>),
}

/// One of our objects as it is.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) object: Arc<DynamicObject>,
    /// A hash of all that somebody may have changed: not of the status, nor of what the API server counts.
    pub(super) fingerprint: u64,
    /// Whether the number of replicas is ours by an earlier apply.
    pub(super) owns_replicas: bool,
}

impl Seen {
    pub(super) fn new(mut object: DynamicObject, manager: &str) -> Self {
        let owns_replicas = object.metadata.managed_fields.iter().flatten().any(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            entry.manager.as_deref() == Some(manager)
                && entry.operation.as_deref() == Some("Apply")
                && fields.is_some_and(|fields| fields.pointer("/f:spec/f:replicas").is_some())
        });
        object.metadata.managed_fields = None;
        let fingerprint = fingerprint(&object);
        // Keys have no place in our memory.
        if let Some(data) = object.data.as_object_mut() {
            data.remove("data");
        }
        Self { object: Arc::new(object), fingerprint, owns_replicas }
    }
}

fn fingerprint(object: &DynamicObject) -> u64 {
    let mut meta = object.metadata.clone();
    (meta.resource_version, meta.generation, meta.managed_fields) = (None, None, None);
    let mut hasher = DefaultHasher::new();
    let meta = serde_json::to_string(&meta).expect("metadata is JSON");
    meta.hash(&mut hasher);
    for (field, value) in object.data.as_object().into_iter().flatten().filter(|(field, _)| *field != "status") {
        (field, value.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

/// What a watch says.
pub(super) enum Said {
    Object(usize, Box<Result<Event<DynamicObject>, watcher::Error>>),
    Node(Box<Result<Event<Node>, watcher::Error>>),
}

/// One watch.
struct Watch {
    kind: Kind,
    namespace: Option<String>,
    /// What a list that is under way has brought so far.
    listed: BTreeSet<Key>,
    is_synced: bool,
}

/// All of our objects.
pub(super) struct Live {
    client: Client,
    manager: &'static str,
    watches: Vec<Watch>,
    said: (mpsc::Sender<Said>, mpsc::Receiver<Said>),
    listeners: JoinSet<()>,
    pub(super) objects: BTreeMap<Key, Seen>,
    /// Once somebody needs them.
    nodes: Option<Nodes>,
}

/// The addresses of the nodes by their names.
#[derive(Default)]
struct Nodes {
    known: BTreeMap<String, Vec<Address>>,
    /// What a list that is under way has brought so far.
    listed: BTreeMap<String, Vec<Address>>,
}

impl Live {
    /// Begins to watch.
    pub(super) fn start(client: &Client, scope: &Scope, instance: &str, manager: &'static str) -> Self {
        let selector = render::selector_of(instance);
        let namespaces: Vec<Option<String>> = match scope {
            Scope::All => vec![None],
            Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
        };
        let mut live = Self {
            client: client.clone(),
            manager,
            watches: Vec::new(),
            said: mpsc::channel(BOUND),
            listeners: JoinSet::new(),
            objects: BTreeMap::new(),
            nodes: None,
        };
        for (kind, namespace) in Kind::ALL.into_iter().flat_map(|kind| namespaces.iter().map(move |name| (kind, name)))
        {
            let resource = kind.resource();
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let index = live.watches.len();
            let events = watcher(api, watcher::Config::default().labels(&selector)).backoff(Backoff::of_few());
            live.listen(events.map(move |event| Said::Object(index, Box::new(event))));
            let (namespace, listed) = (namespace.clone(), BTreeSet::new());
            live.watches.push(Watch { kind, namespace, listed, is_synced: false });
        }
        live
    }

    /// Whether all is known that is there: before, nothing may be missed.
    pub(super) fn is_synced(&self) -> bool {
        self.watches.iter().all(|watch| watch.is_synced)
    }

    /// Hears what a watch says, until we are dropped.
    fn listen(&mut self, events: impl Stream<Item = Said> + Send + 'static) {
        let sender = self.said.0.clone();
        self.listeners.spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(said) = events.next().await {
                if sender.send(said).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Waits for news. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        self.said.1.recv().await.expect("we have a sender ourselves")
    }

    /// News, if there are some already.
    pub(super) fn more(&mut self) -> Option<Said> {
        self.said.1.try_recv().ok()
    }

    /// Takes news in. Returns the objects that changed.
    pub(super) fn take(&mut self, said: Said) -> Vec<Key> {
        let (of, error) = match said {
            Said::Object(index, event) => match *event {
                Ok(event) => return self.object(index, event),
                Err(error) => ("our objects", error),
            },
            Said::Node(event) => match *event {
                Ok(event) => {
                    self.node(event);
                    return Vec::new();
                }
                Err(error) => ("nodes, by which NodePort Services are reached,", error),
            },
        };
        tracing::warn!(component = "infrastructure", %error, "{of} cannot be watched, it is tried again");
        Vec::new()
    }

    fn object(&mut self, index: usize, event: Event<DynamicObject>) -> Vec<Key> {
        let watch = &mut self.watches[index];
        match event {
            Event::Init => {
                watch.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let key = key(watch.kind, &object);
                watch.listed.insert(key.clone());
                self.put(key, object)
            }
            Event::Apply(object) => {
                let key = key(watch.kind, &object);
                self.put(key, object)
            }
            Event::Delete(object) => {
                let key = key(watch.kind, &object);
                self.objects.remove(&key);
                vec![key]
            }
            Event::InitDone => {
                watch.is_synced = true;
                let (kind, namespace, listed) =
                    (watch.kind, watch.namespace.clone(), std::mem::take(&mut watch.listed));
                let is_gone = |key: &Key| {
                    key.0 == kind && namespace.as_ref().is_none_or(|name| *name == key.1) && !listed.contains(key)
                };
                let gone: Vec<Key> = self.objects.keys().filter(|key| is_gone(key)).cloned().collect();
                gone.iter().for_each(|key| drop(self.objects.remove(key)));
                gone
            }
        }
    }

    fn put(&mut self, key: Key, object: DynamicObject) -> Vec<Key> {
        let seen = Seen::new(object, self.manager);
        let needs_nodes = key.0 == Kind::Service
            && seen.object.data.pointer("/spec/type").and_then(Value::as_str) == Some("NodePort");
        if needs_nodes && self.nodes.is_none() {
            self.nodes = Some(Nodes::default());
            let nodes =
                watcher(Api::<Node>::all(self.client.clone()), watcher::Config::default()).backoff(Backoff::of_few());
            self.listen(nodes.map(|event| Said::Node(Box::new(event))));
        }
        self.objects.insert(key.clone(), seen);
        vec![key]
    }

    fn node(&mut self, event: Event<Node>) {
        let name = |node: &Node| node.metadata.name.clone().unwrap_or_default();
        let nodes = self.nodes.get_or_insert_default();
        match event {
            Event::Init => nodes.listed.clear(),
            Event::InitApply(node) => drop(nodes.listed.insert(name(&node), of_node(&node))),
            Event::InitDone => nodes.known = std::mem::take(&mut nodes.listed),
            Event::Apply(node) => drop(nodes.known.insert(name(&node), of_node(&node))),
            Event::Delete(node) => drop(nodes.known.remove(&name(&node))),
        }
    }

    /// The addresses of all nodes.
    pub(super) fn nodes(&self) -> Vec<Address> {
        self.nodes.iter().flat_map(|nodes| nodes.known.values()).flatten().cloned().collect()
    }
}

pub(super) fn key(kind: Kind, object: &DynamicObject) -> Key {
    let meta = &object.metadata;
    (kind, meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// Those for everybody where there are some, or else those for the cluster.
fn of_node(node: &Node) -> Vec<Address> {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    let of = |kind: &str| {
        addresses
            .clone()
            .filter(|address| address.type_ == kind)
            .map(|found| state::ip(&found.address))
            .collect::<Vec<_>>()
    };
    let external = of("ExternalIP");
    if external.is_empty() { of("InternalIP") } else { external }
}
