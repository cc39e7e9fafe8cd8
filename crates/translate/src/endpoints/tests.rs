//! Which end points of slices are taken, and where they stand.

use serde_json::{Value, json};

use super::*;

/// The end points of a Service `s` whose slices these are: what is different from address, port and zone.
fn found(slices: &[Value], family: Option<IpFamily>, nearness: Option<Nearness>) -> Vec<String> {
    let mut table = Table::default();
    for (index, slice) in slices.iter().enumerate() {
        let mut slice = slice.clone();
        slice["metadata"] =
            json!({"name": format!("s-{index}"), "namespace": "a", "labels": {"kubernetes.io/service-name": "s"}});
        slice["ports"] = json!([{"name": "other", "port": 1}, {"name": "p", "port": 8080}]);
        table.insert(Arc::new(serde_json::from_value(slice).unwrap()));
    }
    let (namespace, name, port_name) = ("a".to_owned(), "s".to_owned(), "p".to_owned());
    let owner = SliceOwner::Service;
    let source = EndpointSource::Slices { owner, namespace, name, port_name, port: 80, family, nearness };
    let cluster = Cluster {
        name: "c".into(),
        discovery: Discovery::Delivered(vec![ir::EndpointGroup { source, weight: None, priority: 0 }]),
        protocol: ir::UpstreamProtocol::Http1,
        tls: None,
        connect_timeout: std::time::Duration::from_secs(1),
        ejects_failing: false,
        sources: Vec::new(),
    };
    let mut endpoints = endpoints(&EndpointIndex::new(&table), &cluster).unwrap();
    let words = |endpoint: Endpoint| match endpoint {
        Endpoint::Ip { address, port: 8080, zone, draining, .. } => {
            let zone = zone.map(|zone| format!(" in {zone}")).unwrap_or_default();
            format!("{address}{zone}{}", if draining { " draining" } else { "" })
        }
        other => panic!("{other:?}"),
    };
    endpoints.groups.remove(0).endpoints.into_iter().map(words).collect()
}

fn slice(family: &str, endpoints: &Value) -> Value {
    json!({"addressType": family, "endpoints": endpoints})
}

fn with_conditions(address: &str, conditions: &Value) -> Value {
    json!({"addresses": [address], "zone": "z", "conditions": conditions})
}

#[test]
fn those_that_serve_while_they_terminate_wait_for_when_no_other_is_ready() {
    let ready = with_conditions("10.0.0.1", &json!({"ready": true, "serving": true, "terminating": false}));
    let unknown = with_conditions("10.0.0.2", &json!({}));
    let starting = with_conditions("10.0.0.3", &json!({"ready": false, "serving": false, "terminating": false}));
    let finishing = with_conditions("10.0.0.4", &json!({"ready": false, "serving": true, "terminating": true}));
    // What is not said of serving is true, of terminating false.
    let unsaid = with_conditions("10.0.0.5", &json!({"ready": false, "terminating": true}));
    let gone = with_conditions("10.0.0.6", &json!({"ready": false, "serving": false, "terminating": true}));
    let not_ready = with_conditions("10.0.0.7", &json!({"ready": false, "serving": true}));
    // One that is published although it isn't ready (`publishNotReadyAddresses`).
    let published = with_conditions("10.0.0.8", &json!({"ready": true, "serving": false, "terminating": true}));
    let rest = [&starting, &finishing, &unsaid, &gone, &not_ready];
    for (first, expected) in [
        (vec![&ready, &unknown], vec!["10.0.0.1 in z", "10.0.0.2 in z"]),
        (vec![&published], vec!["10.0.0.8 in z"]),
        (vec![], vec!["10.0.0.4 in z draining", "10.0.0.5 in z draining"]),
    ] {
        let all: Vec<&Value> = first.into_iter().chain(rest).collect();
        assert_eq!(found(&[slice("IPv4", &json!(all))], None, None), expected);
    }
    assert!(found(&[slice("IPv4", &json!([starting, gone, not_ready]))], None, None).is_empty());
}

#[test]
fn readiness_is_looked_at_over_all_slices() {
    let ready = slice("IPv4", &json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]));
    let finishing = json!({"ready": false, "serving": true, "terminating": true});
    let finishing = slice("IPv4", &json!([{"addresses": ["10.0.0.2"], "conditions": finishing}]));
    assert_eq!(found(&[finishing.clone(), ready], None, None), ["10.0.0.1"]);
    assert_eq!(found(&[finishing], None, None), ["10.0.0.2 draining"]);
}

#[test]
fn of_both_families_one_is_taken_unless_both_are_asked_for() {
    let four = slice("IPv4", &json!([{"addresses": ["10.0.0.1"]}]));
    let six = slice("IPv6", &json!([{"addresses": ["fd00::1"]}]));
    let empty = slice("IPv4", &json!([]));
    let names = slice("FQDN", &json!([{"addresses": ["example.com"]}]));
    let both = [four.clone(), six.clone(), names];
    for (family, expected) in [
        (None, vec!["10.0.0.1"]),
        (Some(IpFamily::V4), vec!["10.0.0.1"]),
        (Some(IpFamily::V6), vec!["fd00::1"]),
        (Some(IpFamily::Dual), vec!["10.0.0.1", "fd00::1"]),
    ] {
        assert_eq!(found(&both, family, None), expected, "{family:?}");
    }
    // A Service of both families whose pods have the other one only.
    assert_eq!(found(&[empty.clone(), six.clone()], None, None), ["fd00::1"]);
    assert!(found(&[empty, six], Some(IpFamily::V4), None).is_empty());
    assert!(found(&[four], Some(IpFamily::V6), None).is_empty());
}

#[test]
fn end_points_stand_in_the_zone_that_they_are_meant_for() {
    let at = |address: &str, zone: Option<&str>, hints: &[&str]| {
        let hints: Vec<Value> = hints.iter().map(|zone| json!({"name": zone})).collect();
        json!({"addresses": [address], "zone": zone, "hints": {"forZones": hints}})
    };
    let hinted = [at("10.0.0.1", Some("a"), &["a"]), at("10.0.0.2", Some("a"), &["b"])];
    let several = [at("10.0.0.1", Some("a"), &["c", "a"]), at("10.0.0.2", Some("a"), &["c", "b"])];
    let some_hinted = [at("10.0.0.1", Some("a"), &["b"]), at("10.0.0.2", Some("a"), &[])];
    let some_known = [at("10.0.0.1", Some("a"), &[]), at("10.0.0.2", None, &[])];
    let (hints, zone) = (Some(Nearness::Hints), Some(Nearness::Zone));
    for (endpoints, nearness, expected) in [
        // For statistics only.
        (&hinted, None, ["10.0.0.1 in a", "10.0.0.2 in a"]),
        (&some_known, None, ["10.0.0.1 in a", "10.0.0.2"]),
        (&hinted, hints, ["10.0.0.1 in a", "10.0.0.2 in b"]),
        (&hinted, zone, ["10.0.0.1 in a", "10.0.0.2 in b"]),
        (&several, hints, ["10.0.0.1 in a", "10.0.0.2 in c"]),
        // Who takes hints back wants load to be spread.
        (&some_hinted, hints, ["10.0.0.1", "10.0.0.2"]),
        (&some_hinted, zone, ["10.0.0.1 in a", "10.0.0.2 in a"]),
        // The one without would never be used.
        (&some_known, hints, ["10.0.0.1", "10.0.0.2"]),
        (&some_known, zone, ["10.0.0.1", "10.0.0.2"]),
    ] {
        let endpoints = slice("IPv4", &json!(endpoints));
        assert_eq!(found(std::slice::from_ref(&endpoints), None, nearness), expected, "{nearness:?} {endpoints}");
    }
    // Only those that are ready count, and with none of them there is no near or far.
    let ending = json!({"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true},
        "zone": "a"});
    let [first, second] = hinted;
    let beside = slice("IPv4", &json!([first, second, ending]));
    assert_eq!(found(&[beside], None, hints), ["10.0.0.1 in a", "10.0.0.2 in b"]);
    assert_eq!(found(&[slice("IPv4", &json!([ending]))], None, zone), ["10.0.0.3 draining"]);
}
