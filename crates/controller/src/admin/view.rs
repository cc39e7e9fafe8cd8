//! The state of the server as JSON.

use std::sync::Arc;

use api::{KINDS, Kind, ObjectRef};
use serde_json::{Value, json};
use tokio::sync::watch;
use xds::{Ledger, StreamRecord};

use crate::{infra::host::States, pipeline::Output, source::Seen, status::Statuses};

/// Everything that there is to see.
#[derive(Clone, Debug)]
pub struct View {
    /// The controller's name.
    pub controller: String,
    /// What was read.
    pub seen: watch::Receiver<Seen>,
    /// What became of it.
    pub output: watch::Receiver<Option<Arc<Output>>>,
    /// What is said of each resource.
    pub statuses: watch::Receiver<Option<Arc<Statuses>>>,
    /// Who is connected.
    pub ledger: watch::Receiver<Arc<Ledger>>,
    /// The Envoys of this machine.
    pub states: watch::Receiver<States>,
}

/// The kind with a status that a word means: `HTTPRoute`, `httproute` or `httproutes`.
pub(crate) fn kind(word: &str) -> Option<&'static Kind> {
    let word = word.to_ascii_lowercase();
    KINDS.iter().filter(|kind| kind.status).find(|kind| kind.plural == word || kind.kind.to_ascii_lowercase() == word)
}

impl View {
    /// The status of every resource that has one, and what is wrong with documents:
    /// `{"items": [{"kind", "metadata", "status"}], "problems": […]}`.
    pub fn resources(&self, wanted: Option<&str>) -> Value {
        let wanted = wanted.and_then(kind);
        let statuses = self.statuses.borrow().clone().unwrap_or_default();
        let output = self.output.borrow().clone();
        let rows = statuses.into_iter().filter(|(reference, _)| wanted.is_none_or(|kind| kind.kind == reference.kind));
        let items: Vec<_> = rows.map(|(reference, said)| item(reference, &said.status(), output.as_deref())).collect();
        json!({"items": items, "problems": self.problems()})
    }

    /// What is wrong with documents, by file and line.
    pub fn problems(&self) -> Value {
        let problems = Arc::clone(&self.seen.borrow().problems);
        problems.iter().map(|problem| json!(problem)).collect()
    }

    /// Waits until [`View::resources`] may differ. False when the server ends.
    pub async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.statuses.changed() => changed.is_ok(),
            changed = self.seen.changed() => changed.is_ok(),
        }
    }

    /// The fleets: what they serve and how far Envoys are.
    pub fn gateways(&self) -> Value {
        let output = self.output.borrow().clone();
        let ledger = Arc::clone(&self.ledger.borrow());
        let fleets = output.iter().flat_map(|output| &output.fleets);
        fleets
            .map(|(name, fleet)| {
                let listeners = fleet.gateway.listeners.iter();
                let listeners = listeners.map(|listener| json!({"name": listener.name, "port": listener.port}));
                json!({
                    "name": name,
                    "gateways": fleet.gateway.gateways.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "listeners": listeners.collect::<Vec<_>>(),
                    "clusters": fleet.gateway.clusters.len(),
                    "revision": fleet.snapshot.revision(),
                    "acknowledged": ledger.acked(name),
                    "envoys": ledger.group(name).count(),
                })
            })
            .collect()
    }

    /// The Envoys that are connected, and the processes of this machine.
    pub fn envoys(&self) -> Value {
        let ledger = Arc::clone(&self.ledger.borrow());
        let states = self.states.borrow().clone();
        json!({"connected": ledger.streams().map(|stream| connected(stream)).collect::<Vec<_>>(), "processes": states})
    }
}

fn item(reference: &ObjectRef, status: &Value, output: Option<&Output>) -> Value {
    let object = output.and_then(|output| output.resources.get(reference));
    let generation = object.as_ref().and_then(|object| object.meta().generation);
    let api_version = object.as_ref().map(|object| api_version(object.kind()));
    let mut metadata = json!({"name": reference.name, "generation": generation});
    if !reference.namespace.is_empty() {
        metadata["namespace"] = json!(reference.namespace);
    }
    json!({"apiVersion": api_version, "kind": reference.kind, "metadata": metadata, "status": status})
}

/// The preferred `apiVersion` of a kind.
pub(crate) fn api_version(kind: &Kind) -> String {
    match kind.group {
        "" => kind.versions[0].to_owned(),
        group => format!("{group}/{}", kind.versions[0]),
    }
}

fn connected(stream: &StreamRecord) -> Value {
    let types = stream.types.iter().map(|(url, record)| {
        let nack = record.last_nack.as_ref().map(|(words, at)| json!({"message": words, "at": time(*at)}));
        let rejected =
            record.rejected.iter().map(|(name, rejection)| json!({"name": name, "message": rejection.message}));
        json!({
            "type": url.rsplit('.').next(),
            "resources": record.resources,
            "acknowledged": record.acked,
            "rejected": rejected.collect::<Vec<_>>(),
            "lastNack": nack,
        })
    });
    json!({
        "node": stream.node_id,
        "fleet": stream.group,
        "since": time(stream.connected_since),
        "acknowledged": stream.acked,
        "types": types.collect::<Vec<_>>(),
    })
}

fn time(at: std::time::SystemTime) -> Value {
    let at = jiff::Timestamp::try_from(at).and_then(|at| at.round(jiff::Unit::Second));
    at.map_or(Value::Null, |at| json!(at.to_string()))
}
