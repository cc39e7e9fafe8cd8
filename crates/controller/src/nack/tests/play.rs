//! The whole circle without a network: resources are compiled, an Envoy that is played answers, and what it refuses goes into
//! the next translation.

use std::time::{Duration, SystemTime};

use envoy::type_url::{CLUSTER, LISTENER, ROUTE, SCOPED_ROUTE};
use serde_json::Value;
use xds::{Protocol, Rejection as Refusal, StreamId, StreamRecord, TypeRecord};

use super::super::*;
use crate::{
    config,
    pipeline::{State, compile},
};

const CLASS: &str = "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: eg}, spec: {controllerName: \
     gateway.envoyproxy.io/gatewayclass-controller}}";

/// What an Envoy says to the text of a resource, by type, name and text; nothing where it takes it.
type Dislikes = Box<dyn Fn(&str, &str, &str) -> Option<&'static str>>;

pub(super) type Surprise = Box<dyn FnOnce(&mut Play)>;

/// A controller's heart and the Envoys of all its fleets.
pub(super) struct Play {
    state: State,
    pub(super) nacks: Nacks,
    pub(super) resources: Resources,
    output: Output,
    dislikes: Dislikes,
    /// What Envoys hold, by fleet, type and name.
    held: BTreeMap<[Arc<str>; 3], String>,
    /// What was refused since it was last asked.
    refusals: BTreeSet<(Arc<str>, Arc<str>, xds::Version)>,
    pub(super) now: Instant,
    /// A text that the held route tables always have, once they have it.
    pub(super) kept: Vec<&'static str>,
    /// After so many rounds of the next settling this happens.
    pub(super) surprise: Option<(usize, Surprise)>,
}

impl Play {
    pub(super) fn new(dislikes: impl Fn(&str, &str, &str) -> Option<&'static str> + 'static) -> Self {
        let mut state = State::new(config::pipeline_settings(&config::offline(), Vec::new()));
        let resources = Resources::default();
        let output = compile(&resources, &mut state);
        let mut play = Self {
            state,
            nacks: Nacks::default(),
            resources,
            output,
            dislikes: Box::new(dislikes),
            held: BTreeMap::new(),
            refusals: BTreeSet::new(),
            now: Instant::now(),
            kept: Vec::new(),
            surprise: None,
        };
        play.put(&[CLASS]);
        play
    }

    /// Puts documents in; nothing follows from it yet.
    pub(super) fn put(&mut self, documents: &[&str]) {
        for document in documents {
            let value: Value = serde_saphyr::from_str(document).unwrap();
            let parsed = api::parse(value).unwrap();
            assert_eq!(parsed.unknown, Vec::<String>::new());
            self.resources.insert(parsed.object);
        }
    }

    /// Compiles, and goes round until Envoys and the controller have nothing more to say.
    pub(super) fn settle(&mut self) {
        self.compile();
        for round in 0..100 {
            if let Some((_, happens)) = self.surprise.take_if(|(after, _)| *after == round) {
                happens(self);
                self.compile();
            }
            let ledger = self.answer();
            if !self.nacks.observe(&self.output, &ledger, self.now) {
                return;
            }
            self.compile();
        }
        panic!("it goes round and round");
    }

    /// The same after documents were put in.
    pub(super) fn write(&mut self, documents: &[&str]) {
        self.put(documents);
        self.settle();
    }

    /// Lets time go by until something is due, which must be soon.
    pub(super) fn wait(&mut self) {
        let due = self.nacks.due().expect("something is due");
        assert!(due <= self.now + Duration::from_secs(60));
        self.now = due;
        self.settle();
    }

    fn compile(&mut self) {
        self.resources.facts = Arc::clone(self.nacks.facts());
        self.output = compile(&self.resources, &mut self.state);
    }

    /// What is left out at present: `fleet: resource`.
    pub(super) fn left_out(&self) -> Vec<String> {
        let rejected = self.nacks.facts().rejected.iter();
        rejected.flat_map(|(fleet, rejected)| rejected.keys().map(move |key| format!("{fleet}: {key}"))).collect()
    }

    /// How many versions of resources were refused since it was last asked.
    pub(super) fn refusals(&mut self) -> usize {
        std::mem::take(&mut self.refusals).len()
    }

    /// Whether a fleet's Envoys hold a route table with this text.
    pub(super) fn has(&self, fleet: &str, text: &str) -> bool {
        self.held.iter().any(|([of, url, _], held)| &**of == fleet && &**url == ROUTE && held.contains(text))
    }

    fn answer(&mut self) -> Ledger {
        let before: Vec<_> = self.kept.iter().filter(|text| self.has("default/gw", text)).copied().collect();
        let fleets: Vec<_> = self.output.fleets.iter().map(|(name, fleet)| (name.clone(), fleet.clone())).collect();
        let records = fleets.iter().enumerate().map(|(number, (name, fleet))| StreamRecord {
            id: StreamId(number as u64),
            node_id: "envoy".to_owned(),
            group: Arc::clone(name),
            protocol: Protocol::Delta,
            connected_since: SystemTime::UNIX_EPOCH,
            types: [CLUSTER, LISTENER, SCOPED_ROUTE, ROUTE].map(|url| (url.into(), self.take(name, fleet, url))).into(),
            acked: None,
        });
        let ledger = records.collect::<Vec<_>>().into_iter().collect();
        for text in before {
            assert!(self.has("default/gw", text), "{text} must not be taken away");
        }
        ledger
    }

    fn take(&mut self, name: &Arc<str>, fleet: &Fleet, url: &str) -> TypeRecord {
        let revision = fleet.snapshot.revision();
        let mut record = TypeRecord { answered: Some(revision), ..TypeRecord::default() };
        for (resource, new) in fleet.snapshot.resources(url).iter() {
            let text = String::from_utf8_lossy(new.body()).into_owned();
            let Some(words) = (self.dislikes)(url, resource, &text) else {
                self.held.insert([Arc::clone(name), url.into(), Arc::clone(resource)], text);
                continue;
            };
            self.refusals.insert((Arc::clone(name), Arc::clone(resource), new.version()));
            let (version, message, at) = (new.version(), words.into(), SystemTime::UNIX_EPOCH);
            record.rejected.insert(Arc::clone(resource), Refusal { version, revision, message, at });
        }
        record
    }
}
