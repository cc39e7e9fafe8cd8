//! Random play against a client that behaves as Envoy does: whatever the order of changes, subscriptions, answers and
//! rejections, it ends up with the snapshot, nothing is sent twice, and no route ever points to nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// What a snapshot is made of. A `true` says that Envoy rejects the resource.
#[derive(Debug, Clone, Default)]
struct World {
    clusters: BTreeMap<u8, u8>,
    endpoints: BTreeMap<u8, u8>,
    /// The route that a listener uses.
    listeners: BTreeMap<u8, (u8, bool)>,
    /// The clusters that a route points to.
    routes: BTreeMap<u8, (BTreeSet<u8>, bool)>,
}

impl World {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Cluster(name, Some(tag)) => drop(self.clusters.insert(name, tag)),
            Change::Cluster(name, None) => drop(self.clusters.remove(&name)),
            Change::Endpoint(name, tag) => drop(self.endpoints.insert(name, tag)),
            Change::Listener(name, Some(to)) => drop(self.listeners.insert(name, to)),
            Change::Listener(name, None) => drop(self.listeners.remove(&name)),
            Change::Route(name, to, bad) => drop(self.routes.insert(name, (to, bad))),
        }
        self.repair();
    }

    /// Leaves no reference without its target, and no route without a listener.
    fn repair(&mut self) {
        let routes: BTreeSet<u8> = self.listeners.values().map(|(route, _)| *route).collect();
        self.routes.retain(|route, _| routes.contains(route));
        for route in routes {
            self.routes.entry(route).or_default();
        }
        for cluster in self.routes.values().flat_map(|(clusters, _)| clusters.clone()) {
            self.clusters.entry(cluster).or_default();
        }
        self.endpoints.retain(|name, _| self.clusters.contains_key(name));
        for cluster in self.clusters.keys() {
            self.endpoints.entry(*cluster).or_default();
        }
    }

    fn snapshot(&self, previous: &Snapshot) -> Arc<Snapshot> {
        let clusters = self.clusters.iter().map(|(name, tag)| (format!("c{name}"), tag.to_string()));
        let clusters = clusters.map(|(name, tag)| (name.clone(), eds_cluster(&name, &tag)));
        let listeners =
            self.listeners.iter().map(|(name, (route, bad))| (format!("l{name}"), format!("r{route} {bad}")));
        let routes = self.routes.iter().map(|(name, (clusters, bad))| {
            let clusters: Vec<String> = clusters.iter().map(|cluster| format!("c{cluster}")).collect();
            (format!("r{name}"), format!("{} {bad}", clusters.join(",")))
        });
        previous
            .next(previous.revision() + 1)
            .set(CLUSTER, clusters)
            .set(ENDPOINT, self.endpoints.iter().map(|(name, tag)| (format!("c{name}"), tag.to_string())))
            .set(LISTENER, listeners)
            .set(ROUTE, routes)
            .build()
    }

    fn is_good(&self) -> bool {
        !self.routes.values().any(|(_, bad)| *bad) && !self.listeners.values().any(|(_, bad)| *bad)
    }
}

#[derive(Debug, Clone)]
enum Change {
    Cluster(u8, Option<u8>),
    Endpoint(u8, u8),
    Listener(u8, Option<(u8, bool)>),
    Route(u8, BTreeSet<u8>, bool),
}

/// Several changes that become one snapshot, then so many responses that the client reads.
type Step = (Vec<Change>, u8);

fn change() -> impl Strategy<Value = Change> {
    let id = || 0..5_u8;
    let bad = || prop::bool::weighted(0.15);
    prop_oneof![
        (id(), prop::option::of(id())).prop_map(|(name, tag)| Change::Cluster(name, tag)),
        (id(), id()).prop_map(|(name, tag)| Change::Endpoint(name, tag)),
        (id(), prop::option::of((id(), bad()))).prop_map(|(name, to)| Change::Listener(name, to)),
        (id(), prop::collection::btree_set(id(), 0..3), bad()).prop_map(|(name, to, bad)| Change::Route(name, to, bad)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((prop::collection::vec(change(), 1..6), 0..8_u8), 1..25)
}

/// A client that does what Envoy does.
struct Envoy {
    client: Client,
    protocol: Protocol,
    wire: VecDeque<Response>,
    has: BTreeMap<&'static str, BTreeMap<String, String>>,
    subscribed: BTreeMap<&'static str, BTreeSet<String>>,
    /// What it waits for, be it new to it or not: only a response after that of this number brings it.
    awaited: BTreeMap<(&'static str, String), u64>,
    has_rejected: bool,
    /// Whether clusters are acknowledged only once they are warm, as Envoy does when it is up already.
    is_up: bool,
    /// A cluster response that is to be acknowledged then.
    unanswered: Option<Arc<str>>,
}

/// What it needs to take a response in: enough for routes to wait for it to have time.
const TOOK: Duration = Duration::from_millis(60);

const URLS: [&str; 4] = [CLUSTER, ENDPOINT, LISTENER, ROUTE];

impl Envoy {
    fn new(protocol: Protocol, is_up: bool) -> Self {
        let mut client = Client::new(protocol);
        client.subscribe(CLUSTER, &[]);
        client.subscribe(LISTENER, &[]);
        Self {
            client,
            protocol,
            wire: VecDeque::new(),
            has: URLS.map(|url| (url, BTreeMap::new())).into(),
            subscribed: URLS.map(|url| (url, BTreeSet::new())).into(),
            awaited: BTreeMap::new(),
            has_rejected: false,
            is_up,
            unanswered: None,
        }
    }

    /// A resource as text; one that ends with `true` is rejected.
    fn text(url: &str, resource: &crate::Resource) -> String {
        if url == CLUSTER {
            return Cluster::decode(resource.body().as_ref()).unwrap().alt_stat_name;
        }
        String::from_utf8(resource.body().to_vec()).unwrap()
    }

    /// Reads a response, takes or rejects it, answers, and asks for what it then needs.
    fn read(&mut self) -> bool {
        let responses = self.client.poll();
        self.wire.extend(responses);
        let Some(response) = self.wire.pop_front() else { return false };
        let url = URLS.into_iter().find(|url| **url == *response.type_url).unwrap();
        let is_whole = self.protocol == Protocol::Sotw && Kind::of(url).is_whole_in_sotw();
        let news: BTreeMap<String, String> =
            response.resources.iter().map(|(name, resource)| (name.to_string(), Self::text(url, resource))).collect();
        let bad = news.iter().find(|(_, text)| text.ends_with("true"));
        let error = bad.map(|(name, _)| format!("Error adding/updating {name}: it is bad"));
        if error.is_some() {
            self.has_rejected = true;
        } else {
            self.take(url, &response, news, is_whole);
        }
        if url == CLUSTER && self.is_up {
            self.unanswered = Some(response.nonce);
        } else {
            self.answer(url, &response.nonce, error.as_deref());
        }
        self.resubscribe();
        self.answer_warm();
        self.check_references();
        true
    }

    fn take(&mut self, url: &'static str, response: &Response, news: BTreeMap<String, String>, is_whole: bool) {
        let nonce: u64 = response.nonce.parse().unwrap();
        let has = self.has.get_mut(url).unwrap();
        let before = has.clone();
        if is_whole {
            has.clear();
        }
        for name in &response.removed {
            has.remove(&**name);
            self.awaited.remove(&(url, name.to_string()));
        }
        for (name, text) in news {
            let is_known = before.get(&name) == Some(&text);
            let is_awaited = self.awaited.contains_key(&(url, name.clone()));
            assert!(is_whole || !is_known || is_awaited, "{name} of {url} sent twice");
            if self.awaited.get(&(url, name.clone())).is_some_and(|since| *since < nonce) {
                self.awaited.remove(&(url, name.clone()));
            }
            if url == CLUSTER && !is_known {
                self.awaited.insert((ENDPOINT, name.clone()), nonce);
            }
            if matches!(url, CLUSTER | LISTENER) || self.subscribed[url].contains(&name) {
                has.insert(name, text);
            }
        }
    }

    fn answer(&mut self, url: &str, nonce: &str, error: Option<&str>) {
        self.client.now.instant += TOOK;
        let names = match self.protocol {
            Protocol::Delta => delta(&[]),
            Protocol::Sotw => Names::Sotw(self.subscribed[url].iter().cloned().collect()),
        };
        self.client.request(url, nonce, error, names).expect("it answers");
    }

    /// Asks for the endpoints of the clusters and for the routes of the listeners that it has.
    fn resubscribe(&mut self) {
        let endpoints: BTreeSet<String> = self.has[CLUSTER].keys().cloned().collect();
        let routes = self.has[LISTENER].values().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
        for (url, wanted) in [(ENDPOINT, endpoints), (ROUTE, routes)] {
            let before = self.subscribed.insert(url, wanted.clone()).unwrap();
            if before != wanted {
                self.ask(url, &before, &wanted);
            }
        }
    }

    fn ask(&mut self, url: &'static str, before: &BTreeSet<String>, wanted: &BTreeSet<String>) {
        self.has.get_mut(url).unwrap().retain(|name, _| wanted.contains(name));
        self.awaited.retain(|(other, name), _| *other != url || wanted.contains(name));
        let now = self.client.session.last_nonce;
        self.awaited.extend(wanted.difference(before).map(|name| ((url, name.clone()), now)));
        if self.protocol == Protocol::Delta {
            let subscribe = wanted.difference(before).cloned().collect();
            let unsubscribe = before.difference(wanted).cloned().collect();
            self.client.request(url, "", None, Names::Delta { subscribe, unsubscribe, initial: vec![] });
        } else if !self.wire.iter().any(|response| *response.type_url == *url) {
            // Otherwise the answer to what is on the wire brings the list.
            let nonce = self.client.session.records().get(url).and_then(|record| record.sent_nonce.clone());
            let names = Names::Sotw(wanted.iter().cloned().collect());
            self.client.request(url, nonce.as_deref().unwrap_or_default(), None, names);
        }
    }

    /// As long as nothing was rejected, every cluster that a route points to is there.
    fn check_references(&self) {
        if self.has_rejected {
            return;
        }
        for (route, text) in &self.has[ROUTE] {
            let clusters = text.split(' ').next().unwrap();
            for cluster in clusters.split(',').filter(|cluster| !cluster.is_empty()) {
                assert!(self.has[CLUSTER].contains_key(cluster), "{route} points to {cluster}, which is not there");
                assert!(
                    self.has[ENDPOINT].contains_key(cluster),
                    "{route} points to {cluster}, which has no endpoints"
                );
            }
        }
    }

    /// Acknowledges clusters once they are warm.
    fn answer_warm(&mut self) {
        let is_warm = !self.awaited.keys().any(|(url, _)| *url == ENDPOINT);
        if let Some(nonce) = self.unanswered.take_if(|_| is_warm) {
            self.answer(CLUSTER, &nonce, None);
        }
    }

    /// Reads until nothing comes, and lets what is held back come too.
    fn finish(&mut self) {
        for _ in 0..6 {
            while self.read() {}
            self.client.now.instant += HOLD;
        }
        assert!(!self.read(), "no end");
        assert_eq!(self.client.session.wake(), None);
    }

    /// It has what the snapshot has of what it asked for; where it rejects that, it has something else or nothing.
    fn check_end(&self, snapshot: &Snapshot) {
        for url in URLS {
            let is_wildcard = url == CLUSTER || url == LISTENER;
            let target = snapshot.resources(url);
            for (name, resource) in target.iter() {
                let (text, name) = (Self::text(url, resource), name.to_string());
                if !text.ends_with("true") && (is_wildcard || self.subscribed[url].contains(&name)) {
                    assert_eq!(self.has[url].get(&name), Some(&text), "{name} of {url}");
                }
            }
            // A route table is never taken away: that is for the listeners that ask for it.
            if is_wildcard || (self.protocol == Protocol::Delta && url != ROUTE) {
                assert!(self.has[url].keys().all(|name| target.get(name).is_some()), "something of {url} stayed");
            }
        }
        let waiting: Vec<_> = self.awaited.keys().filter(|(url, _)| *url == ENDPOINT).collect();
        assert!(waiting.is_empty(), "clusters never became warm: {waiting:?}");
    }
}

fn play(protocol: Protocol, is_up: bool, steps: Vec<Step>) {
    let mut envoy = Envoy::new(protocol, is_up);
    let (mut world, mut snapshot) = (World::default(), Snapshot::builder(0).build());
    for (changes, reads) in steps {
        changes.into_iter().for_each(|change| world.apply(change));
        snapshot = world.snapshot(&snapshot);
        envoy.client.set(&snapshot);
        for _ in 0..reads {
            envoy.read();
        }
    }
    envoy.finish();
    envoy.check_end(&snapshot);
    let acked = crate::ledger::acked_in_all(&envoy.client.session.records());
    assert_eq!(acked == Some(snapshot.revision()), world.is_good(), "acked {acked:?} of {}", snapshot.revision());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delta_ends_with_the_snapshot(is_up: bool, steps in steps()) {
        play(Protocol::Delta, is_up, steps);
    }

    #[test]
    fn sotw_ends_with_the_snapshot(is_up: bool, steps in steps()) {
        play(Protocol::Sotw, is_up, steps);
    }
}
