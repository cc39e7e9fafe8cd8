//! The protocol's rules, one by one; [`model`] plays them at random.

mod model;
mod rejections;

use envoy::cluster::{Cluster, cluster};
use envoy::type_url::{CLUSTER, ENDPOINT, LISTENER, RATE_LIMIT_CONFIG, ROUTE, SECRET};
use prost::Message;

use super::*;

/// A client that answers as it is told.
struct Client {
    session: Session,
    now: Moment,
}

impl Client {
    fn new(protocol: Protocol) -> Self {
        Self { session: Session::new(protocol, HOLD), now: Moment::now() }
    }

    fn set(&mut self, snapshot: &Arc<Snapshot>) {
        self.session.set_snapshot(Arc::clone(snapshot));
    }

    fn request(&mut self, url: &str, nonce: &str, error: Option<&str>, names: Names) -> Option<Answer> {
        let (nonce, error) = (nonce.to_owned(), error.map(str::to_owned));
        self.session.receive(&Request { type_url: TypeUrl::from(url), nonce, error, names }, self.now)
    }

    fn subscribe(&mut self, url: &str, names: &[&str]) {
        self.request(url, "", None, self.names(names));
    }

    fn names(&self, names: &[&str]) -> Names {
        let names = names.iter().copied().map(str::to_owned).collect();
        match self.session.protocol {
            Protocol::Sotw => Names::Sotw(names),
            Protocol::Delta => Names::Delta { subscribe: names, unsubscribe: vec![], initial: vec![] },
        }
    }

    fn ack(&mut self, response: &Response) {
        self.request(&response.type_url, &response.nonce, None, delta(&[])).expect("it answers");
    }

    fn nack(&mut self, response: &Response, message: &str) {
        self.request(&response.type_url, &response.nonce, Some(message), delta(&[])).expect("it answers");
    }

    fn poll(&mut self) -> Vec<Response> {
        self.session.poll(self.now)
    }

    /// Polls when exactly one response is due.
    fn one(&mut self) -> Response {
        let mut responses = self.poll();
        assert_eq!(responses.len(), 1, "{responses:#?}");
        responses.remove(0)
    }

    /// Acknowledges all there is until nothing more comes; says what came, as `Cluster+a,b` and `Cluster-c`.
    fn drain(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let responses = self.poll();
            if responses.is_empty() {
                return seen;
            }
            for response in responses {
                seen.push(show(&response));
                self.ack(&response);
            }
        }
    }
}

fn delta(subscribe: &[&str]) -> Names {
    let subscribe = subscribe.iter().copied().map(str::to_owned).collect();
    Names::Delta { subscribe, unsubscribe: vec![], initial: vec![] }
}

fn show(response: &Response) -> String {
    let kind = format!("{:?}", Kind::of(&response.type_url));
    let names: Vec<&str> = response.resources.iter().map(|(name, _)| &**name).collect();
    let plus =
        if names.is_empty() && !response.removed.is_empty() { String::new() } else { format!("+{}", names.join(",")) };
    let minus = if response.removed.is_empty() { String::new() } else { format!("-{}", response.removed.join(",")) };
    format!("{kind}{plus}{minus}")
}

/// A cluster with endpoints by discovery; `tag` makes versions differ.
fn eds_cluster(name: &str, tag: &str) -> Vec<u8> {
    Cluster {
        name: name.to_owned(),
        alt_stat_name: tag.to_owned(),
        cluster_discovery_type: Some(cluster::ClusterDiscoveryType::Type(cluster::DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(cluster::EdsClusterConfig::default()),
        ..Default::default()
    }
    .encode_to_vec()
}

fn clusters(names: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|(name, tag)| ((*name).to_owned(), eds_cluster(name, tag))).collect()
}

/// One of everything, all of version `1`.
fn full() -> Arc<Snapshot> {
    Snapshot::builder(1)
        .set(CLUSTER, clusters(&[("c", "1")]))
        .set(ENDPOINT, [("c", "1")])
        .set(SECRET, [("s", "1")])
        .set(LISTENER, [("l", "1")])
        .set(ROUTE, [("r", "1")])
        .build()
}

/// A client that has all of [`full`].
fn settled(protocol: Protocol) -> Client {
    let mut client = Client::new(protocol);
    client.set(&full());
    client.subscribe(CLUSTER, &[]);
    assert_eq!(client.ack_names(protocol), ["Cluster+c"]);
    client.subscribe(ENDPOINT, &["c"]);
    assert_eq!(client.ack_names(protocol), ["Endpoint+c"]);
    client.subscribe(LISTENER, &[]);
    assert_eq!(client.ack_names(protocol), ["Listener+l"]);
    client.subscribe(ROUTE, &["r"]);
    client.subscribe(SECRET, &["s"]);
    assert_eq!(client.ack_names(protocol), ["Secret+s", "Route+r"]);
    client
}

impl Client {
    /// Acknowledges all there is, in the protocol's form.
    fn ack_names(&mut self, protocol: Protocol) -> Vec<String> {
        if protocol == Protocol::Delta {
            return self.drain();
        }
        let mut seen = Vec::new();
        loop {
            let responses = self.poll();
            if responses.is_empty() {
                return seen;
            }
            for response in responses {
                seen.push(show(&response));
                let key = (Kind::of(&response.type_url), Arc::clone(&response.type_url));
                let names = self.session.channels[&key].subscription.names.iter().map(|name| (**name).to_owned());
                let names = Names::Sotw(names.collect());
                self.request(&response.type_url, &response.nonce, None, names).expect("it answers");
            }
        }
    }

    fn acked(&self, url: &str) -> Option<u64> {
        self.session.records().get(url).and_then(|record| record.acked)
    }
}

#[test]
fn nothing_is_sent_before_there_is_a_snapshot() {
    let mut client = Client::new(Protocol::Delta);
    client.subscribe(CLUSTER, &[]);
    assert!(client.poll().is_empty());
    client.set(&Snapshot::builder(1).build());
    let response = client.one();
    assert_eq!(show(&response), "Cluster+", "an empty answer ends the client's wait");
    client.ack(&response);
    assert!(client.poll().is_empty());
}

#[test]
fn a_client_that_has_all_is_settled_and_stays_quiet() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let mut client = settled(protocol);
        for url in [CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE] {
            assert_eq!(client.acked(url), Some(1), "{url}");
        }
        client.set(&full().next(2).build());
        assert!(client.poll().is_empty());
        assert_eq!(crate::ledger::acked_in_all(&client.session.records()), Some(2));
    }
}

#[test]
fn a_client_without_its_routes_is_not_settled() {
    let mut client = Client::new(Protocol::Delta);
    client.set(&full());
    client.subscribe(CLUSTER, &[]);
    client.subscribe(ENDPOINT, &["c"]);
    client.subscribe(LISTENER, &[]);
    client.drain();
    assert_eq!(client.acked(LISTENER), Some(1));
    assert_eq!(crate::ledger::acked_in_all(&client.session.records()), None);
}

/// A client that took so long for its last routes that the next ones wait; it asks for two tables and has one.
fn busy() -> Client {
    let mut client = settled(Protocol::Delta);
    client.subscribe(ROUTE, &["later"]);
    client.drain();
    client.set(&full().next(2).set(ROUTE, [("r", "2")]).build());
    let response = client.one();
    client.now.instant += Duration::from_millis(200);
    client.ack(&response);
    assert!(client.poll().is_empty());
    client
}

#[test]
fn changed_routes_leave_the_client_time_for_its_requests() {
    let mut client = busy();
    client.set(&full().next(3).set(ROUTE, [("r", "3")]).build());
    assert!(client.poll().is_empty());
    assert_eq!(client.acked(ROUTE), Some(2), "it has not what waits");
    client.set(&full().next(4).set(ROUTE, [("r", "4")]).build());
    assert!(client.poll().is_empty());
    let wake = client.session.wake().expect("it has to be polled again");
    assert!(wake > client.now.instant && wake <= client.now.instant + Duration::from_millis(300), "{wake:?}");
    client.now.instant = wake;
    assert_eq!(client.one().revision, 4, "what has changed meanwhile goes together");
    assert_eq!(client.session.wake(), None);
}

#[test]
fn only_changed_routes_wait_for_the_client_to_have_time() {
    let mut client = busy();
    client.set(&full().next(3).set(LISTENER, [("l", "3")]).set(CLUSTER, clusters(&[("c", "3")])).build());
    assert_eq!(client.drain(), ["Cluster+c", "Endpoint+c", "Listener+l"]);
    let changed = full().next(4).set(LISTENER, [("l", "3")]).set(CLUSTER, clusters(&[("c", "3")]));
    client.set(&changed.set(ROUTE, [("r", "3"), ("later", "1")]).build());
    assert_eq!(client.drain(), ["Route+later,r"], "a listener waits for one of them");
}

#[test]
fn a_changed_resource_goes_alone_in_delta() {
    let mut client = settled(Protocol::Delta);
    client.set(&full().next(2).set(LISTENER, [("l", "1"), ("m", "1")]).build());
    let response = client.one();
    assert_eq!((show(&response).as_str(), response.revision), ("Listener+m", 2));
    assert!(client.poll().is_empty(), "one response in flight");
}

#[test]
fn clusters_and_listeners_go_whole_in_sotw() {
    let mut client = settled(Protocol::Sotw);
    client.set(&full().next(2).set(LISTENER, [("l", "1"), ("m", "1")]).set(ROUTE, [("r", "2"), ("q", "1")]).build());
    assert_eq!(client.ack_names(Protocol::Sotw), ["Listener+l,m", "Route+r"]);
    client.set(&full().next(3).set(LISTENER, [("m", "1")]).set(ROUTE, [("r", "2"), ("q", "1")]).build());
    client.now.instant += HOLD;
    let _starts_waiting = client.poll();
    client.now.instant += HOLD;
    assert_eq!(client.ack_names(Protocol::Sotw), ["Listener+m"]);
}

/// The rate limit service takes what a response holds as all that there is, and begins with none.
#[test]
fn limits_go_whole_in_sotw() {
    let mut client = Client::new(Protocol::Sotw);
    client.subscribe(RATE_LIMIT_CONFIG, &[]);
    for (revision, items, wanted) in [
        (1, vec![], vec!["RateLimit+"]),
        (2, vec![("a", "1"), ("b", "1")], vec!["RateLimit+a,b"]),
        (3, vec![("a", "2"), ("b", "1")], vec!["RateLimit+a,b"]),
        (4, vec![("a", "2"), ("b", "1")], vec![]),
        (5, vec![("b", "1")], vec!["RateLimit+b"]),
        (6, vec![], vec!["RateLimit+"]),
    ] {
        client.set(&Snapshot::builder(revision).set(RATE_LIMIT_CONFIG, items).build());
        assert_eq!(client.ack_names(Protocol::Sotw), wanted, "{revision}");
    }
}

#[test]
fn a_restarted_server_sends_nothing_that_is_known() {
    let snapshot = full();
    let mut client = Client::new(Protocol::Delta);
    client.set(&snapshot);
    for (url, names) in [(CLUSTER, &["*"][..]), (ENDPOINT, &["c"]), (LISTENER, &[]), (ROUTE, &["r"])] {
        let known = snapshot.resources(url);
        let initial = known.iter().map(|(name, resource)| (name.to_string(), resource.version().to_string())).collect();
        let subscribe = names.iter().copied().map(str::to_owned).collect();
        client.request(url, "", None, Names::Delta { subscribe, unsubscribe: vec![], initial });
    }
    assert!(client.poll().is_empty());
    assert_eq!(crate::ledger::acked_in_all(&client.session.records()), Some(1));
}

#[test]
fn a_restarted_server_corrects_what_differs() {
    let mut client = Client::new(Protocol::Delta);
    client.set(&full());
    let initial = vec![("l".to_owned(), "from another server".to_owned()), ("gone".to_owned(), "1".to_owned())];
    client.request(LISTENER, "", None, Names::Delta { subscribe: vec![], unsubscribe: vec![], initial });
    let response = client.one();
    assert_eq!(show(&response), "Listener+l");
    client.ack(&response);
    client.now.instant += HOLD;
    assert!(client.poll().is_empty(), "routes are not asked for: what goes away waits");
    client.now.instant += HOLD;
    assert_eq!(client.drain(), ["Listener-gone"]);
}

#[test]
fn asking_again_is_answered_again() {
    let mut client = settled(Protocol::Delta);
    client.subscribe(ENDPOINT, &["c"]);
    assert_eq!(client.drain(), ["Endpoint+c"]);
    client.subscribe(ENDPOINT, &["none"]);
    assert_eq!(client.drain(), ["Endpoint-none"]);

    let mut client = settled(Protocol::Sotw);
    let nonce = client.session.records()[ENDPOINT].sent_nonce.clone().unwrap();
    client.request(ENDPOINT, &nonce, None, Names::Sotw(vec!["c".to_owned()]));
    assert_eq!(client.ack_names(Protocol::Sotw), ["Endpoint+c"]);
}

#[test]
fn a_changed_cluster_gets_its_endpoints_again_before_routes_go_on() {
    let mut client = settled(Protocol::Delta);
    client.set(&full().next(2).set(CLUSTER, clusters(&[("c", "2")])).set(ROUTE, [("r", "2")]).build());
    assert_eq!(client.drain(), ["Cluster+c", "Endpoint+c", "Route+r"]);
}

#[test]
fn routes_wait_until_a_new_cluster_has_its_endpoints() {
    let mut client = settled(Protocol::Delta);
    let next = full()
        .next(2)
        .set(CLUSTER, clusters(&[("c", "1"), ("d", "1")]))
        .set(ENDPOINT, [("c", "1"), ("d", "1")])
        .set(ROUTE, [("r", "2")])
        .build();
    client.set(&next);
    assert_eq!(client.drain(), ["Cluster+d"]);
    client.subscribe(ENDPOINT, &["d"]);
    let endpoints = client.one();
    assert_eq!(show(&endpoints), "Endpoint+d");
    assert!(client.poll().is_empty(), "not acknowledged yet");
    client.ack(&endpoints);
    assert_eq!(client.drain(), ["Route+r"]);
}

#[test]
fn endpoints_never_wait_for_clusters() {
    let mut client = settled(Protocol::Delta);
    let next = full().next(2).set(CLUSTER, clusters(&[("c", "1"), ("d", "1")])).set(ENDPOINT, [("c", "1"), ("d", "1")]);
    client.set(&next.set(ROUTE, [("r", "2")]).build());
    let unanswered = client.one();
    client.subscribe(ENDPOINT, &["d"]);
    let endpoints = client.one();
    assert_eq!(show(&endpoints), "Endpoint+d");
    client.ack(&endpoints);
    assert!(client.poll().is_empty(), "the cluster is not warm");
    client.ack(&unanswered);
    assert_eq!(client.drain(), ["Route+r"]);
}

#[test]
fn nobody_waits_for_ever() {
    let mut client = settled(Protocol::Delta);
    let next = full().next(2).set(CLUSTER, clusters(&[("c", "2")])).set(ROUTE, [("r", "2")]).build();
    client.set(&next);
    assert_eq!(client.poll().iter().map(show).collect::<Vec<_>>(), ["Cluster+c", "Endpoint+c"]);
    assert!(client.poll().is_empty());
    assert_eq!(client.session.wake(), Some(client.now.instant + HOLD));
    client.now.instant += HOLD;
    let route = client.one();
    assert_eq!(show(&route), "Route+r");
    client.ack(&route);
    client.set(&next.next(3).set(ROUTE, [("r", "3")]).build());
    assert_eq!(show(&client.one()), "Route+r", "clusters that have not been answered for long no longer hold");
    assert_eq!(client.session.wake(), None);
}

#[test]
fn what_is_no_longer_used_goes_last() {
    let mut client = settled(Protocol::Delta);
    let next = full()
        .next(2)
        .set(CLUSTER, clusters(&[("d", "1")]))
        .set(ENDPOINT, [("d", "1")])
        .set(LISTENER, [("m", "1")])
        .set(ROUTE, [("r", "2")])
        .build();
    client.set(&next);
    client.subscribe(ENDPOINT, &["d"]);
    assert_eq!(
        client.drain(),
        ["Cluster+d", "Endpoint+d", "Listener+m", "Route+r", "Listener-l", "Cluster-c", "Endpoint-c"]
    );
}

#[test]
fn an_overtaken_sotw_request_is_ignored() {
    let mut client = settled(Protocol::Sotw);
    client.set(&full().next(2).set(ROUTE, [("r", "2")]).build());
    let first = client.one();
    client.request(ROUTE, "0", None, Names::Sotw(vec![]));
    assert!(client.request(ROUTE, &first.nonce, None, Names::Sotw(vec!["r".to_owned()])).is_some());
    client.set(&full().next(3).set(ROUTE, [("r", "3")]).build());
    assert_eq!(client.ack_names(Protocol::Sotw), ["Route+r"]);
}

#[test]
fn changes_in_flight_go_together_into_the_next_response() {
    let mut client = settled(Protocol::Delta);
    client.set(&full().next(2).set(ROUTE, [("r", "2")]).build());
    let first = client.one();
    for revision in 3..10 {
        client.set(&full().next(revision).set(ROUTE, [("r", revision.to_string())]).build());
        assert!(client.poll().is_empty());
    }
    client.ack(&first);
    let second = client.one();
    assert_eq!((second.revision, second.resources[0].1.body().as_ref()), (9, b"9".as_slice()));
}
