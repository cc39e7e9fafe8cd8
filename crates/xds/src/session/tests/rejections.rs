//! What Envoy rejects: kept out, found, traced, and no reason to stop.

use super::*;

#[test]
fn a_rejected_route_keeps_its_cluster_for_a_while() {
    let mut client = settled(Protocol::Delta);
    client
        .set(&full().next(2).set(CLUSTER, clusters(&[])).set(ENDPOINT, [("c", "1")]).set(ROUTE, [("r", "2")]).build());
    let route = client.one();
    client.nack(&route, "no");
    assert!(client.poll().is_empty());
    client.now.instant += HOLD;
    assert_eq!(client.drain(), ["Cluster-c"]);
}

#[test]
fn a_rejected_version_is_not_sent_again_but_the_next_one_is() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let mut client = settled(protocol);
        client.set(&full().next(2).set(ROUTE, [("r", "2")]).build());
        let route = client.one();
        let names = if protocol == Protocol::Sotw { Names::Sotw(vec!["r".to_owned()]) } else { delta(&[]) };
        client.request(ROUTE, &route.nonce, Some("bad regex"), names).expect("it answers");
        assert!(client.poll().is_empty());
        assert_eq!(client.acked(ROUTE), Some(1));
        let rejection = client.session.records()[ROUTE].rejected["r"].clone();
        assert_eq!((&*rejection.message, rejection.revision), ("bad regex", 2));

        client.set(&full().next(3).set(ROUTE, [("r", "3")]).build());
        assert_eq!(client.ack_names(protocol), ["Route+r"]);
        assert!(client.session.records()[ROUTE].rejected.is_empty());
        assert_eq!(client.acked(ROUTE), Some(3));
    }
}

#[test]
fn going_back_to_what_the_client_has_needs_no_response() {
    let mut client = settled(Protocol::Delta);
    client.set(&full().next(2).set(ROUTE, [("r", "2")]).build());
    let route = client.one();
    client.nack(&route, "no");
    client.set(&full().next(3).build());
    assert!(client.poll().is_empty());
    assert_eq!(client.acked(ROUTE), Some(3));
}

#[test]
fn the_named_culprit_alone_is_left_out() {
    let mut client = settled(Protocol::Delta);
    client.set(&full().next(2).set(LISTENER, [("l", "1"), ("bad", "1"), ("good", "1")]).build());
    let listeners = client.one();
    assert_eq!(show(&listeners), "Listener+bad,good");
    client.nack(&listeners, "Error adding/updating listener(s) bad: no such filter");
    assert_eq!(client.drain(), ["Listener+good"]);
    assert_eq!(client.session.records()[LISTENER].rejected.keys().map(|name| &**name).collect::<Vec<_>>(), ["bad"]);
}

#[test]
fn an_unnamed_culprit_is_found_by_halves() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let mut client = settled(protocol);
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        client
            .set(&full().next(2).set(LISTENER, names.map(|name| (name, "1")).into_iter().chain([("l", "1")])).build());
        loop {
            let responses = client.poll();
            let Some(response) = responses.first() else { break };
            let error = response.resources.iter().any(|(name, _)| &**name == "e").then_some("something is wrong");
            let answer = if protocol == Protocol::Sotw { Names::Sotw(vec![]) } else { delta(&[]) };
            client.request(LISTENER, &response.nonce, error, answer).expect("it answers");
        }
        let record = &client.session.records()[LISTENER];
        assert_eq!(record.rejected.keys().map(|name| &**name).collect::<Vec<_>>(), ["e"]);
        assert_eq!(record.resources, names.len());
    }
}

#[test]
fn what_was_let_go_of_before_it_was_rejected_is_no_rejection() {
    let mut client = settled(Protocol::Delta);
    client.set(&full().next(2).set(ROUTE, [("r", "bad")]).build());
    let route = client.one();
    let let_go = Names::Delta { subscribe: vec![], unsubscribe: vec!["r".to_owned()], initial: vec![] };
    client.request(ROUTE, "", None, let_go);
    client.nack(&route, "no");
    client.set(&full().next(3).set(ROUTE, Vec::<(String, String)>::new()).build());
    assert!(client.session.records()[ROUTE].rejected.is_empty());
    assert!(client.poll().is_empty());
    assert_eq!(client.acked(ROUTE), Some(3));
}

#[test]
fn what_is_rejected_is_answered_and_nobody_waits_for_its_table() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let mut client = settled(protocol);
        let answered = |client: &Client, url| client.session.records()[url].answered;
        let next = full().next(2).set(LISTENER, [("l", "1"), ("bad", "1")]).set(ROUTE, [("r", "1"), ("of-bad", "1")]);
        client.set(&next.build());
        let listeners = client.one();
        assert_eq!((answered(&client, LISTENER), answered(&client, ROUTE)), (Some(1), Some(1)), "not yet");
        let words = Some("Error adding/updating listener(s) bad: cannot bind");
        client.request(LISTENER, &listeners.nonce, words, client.names(&[])).expect("it answers");
        client.ack_names(protocol);
        assert_eq!((answered(&client, LISTENER), answered(&client, ROUTE)), (Some(2), Some(2)));
        assert_eq!((client.acked(LISTENER), client.acked(ROUTE)), (Some(1), Some(1)));
        client.set(&full().next(3).build());
        client.ack_names(protocol);
        assert_eq!((client.acked(LISTENER), client.acked(ROUTE)), (Some(3), Some(3)));
    }
}
