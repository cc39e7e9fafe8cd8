//! Secrets and ConfigMaps: only what is referred to is read, what changes is taken, and nothing is shown to whom it does not
//! concern.

use std::collections::BTreeSet;

use api::config::{Watch, WatchType};
use serde_json::{Value, json};
use testbed::{PATIENCE, pki::Ca, wait::wait_for};

use super::{
    house::AUDITED,
    manifests::{EXTENSIONS, certificate, config_map, gateway, https, object, route, secret},
    room::{Controller, Room, controller_name, sends},
};

/// A route whose answers come from a ConfigMap, and what injects a Secret's value into requests.
pub(super) fn readers(namespace: &str, map: &str, token: &str) -> Vec<Value> {
    let reference = |kind: &str, name: &str| json!({"group": "", "kind": kind, "name": name});
    let body = json!({"type": "ValueRef", "valueRef": reference("ConfigMap", map)});
    let text = json!({"directResponse": {"statusCode": 200, "body": body}});
    let inject = json!({"credentialInjection": {"credential": {"valueRef": reference("Secret", token)}}});
    let named = |name: &str| json!({"group": EXTENSIONS, "kind": "HTTPRouteFilter", "name": name});
    let extension = |name: &str| json!([{"type": "ExtensionRef", "extensionRef": named(name)}]);
    let mut r = route(namespace, "r", "r.example", json!([]));
    r["spec"]["rules"] = json!([
        {"matches": [{"path": {"value": "/text"}}], "filters": extension("text")},
        {"matches": [{"path": {"value": "/inject"}}], "filters": extension("inject")},
    ]);
    let filter = |name: &str, spec| object(EXTENSIONS, "HTTPRouteFilter", namespace, name, spec);
    vec![filter("text", text), filter("inject", inject), r]
}

#[tokio::test]
async fn only_what_is_referred_to_is_read() {
    let room = Room::new("audit").await;
    let ca = Ca::new("audit").unwrap();
    let pair = |name: &str| ca.server(&[name]).unwrap();
    let used = pair("used.example");
    let mut objects =
        vec![certificate("audit", "used", &used), config_map("audit", "used-map", &[("response.body", "used-text")])];
    objects.push(secret("audit", "used-token", &[("credential", "used-token-text")]));
    for n in 0..20 {
        objects.push(secret("audit", &format!("unused-{n}"), &[("credential", "canary-of-an-unused-secret")]));
        objects.push(config_map("audit", &format!("unused-{n}"), &[("response.body", "canary-of-an-unused-map")]));
    }
    objects.push(gateway("audit", "gw", "audit", json!([https("https", 443, "r.example", &json!({"name": "used"}))])));
    objects.extend(readers("audit", "used-map", "used-token"));
    room.admin.apply_all(&objects).await;
    // One who reads under a name of its own, and whose requests are written down.
    let config = room.reader(ACCOUNT).await;
    let watch = Watch { r#type: WatchType::Namespaces, namespaces: vec!["audit".to_owned()], namespace_selector: None };
    let reader = Controller::start(config, &controller_name("audit"), Some(&watch)).await;
    for text in ["used-text", "used-token-text", first_line(&used.key)] {
        reader.until_sent(text, true).await;
    }
    // What nobody refers to may change as it likes.
    room.admin.apply(&secret("audit", "unused-1", &[("credential", "canary-of-an-unused-secret-that-changed")])).await;
    // What is referred to is taken as it is now.
    room.admin.apply(&config_map("audit", "used-map", &[("response.body", "rotated-text")])).await;
    room.admin.apply(&secret("audit", "used-token", &[("credential", "rotated-token-text")])).await;
    let rotated = pair("used.example");
    room.admin.apply(&certificate("audit", "used", &rotated)).await;
    for text in ["rotated-text", "rotated-token-text", first_line(&rotated.key)] {
        reader.until_sent(text, true).await;
    }
    let output = reader.until("the old ones to be gone", |output| !sends(output, "used-token-text")).await;
    assert!(!sends(&output, first_line(&used.key)) && !sends(&output, "used-text"));
    // Gone and come again.
    room.admin.delete(&objects[1]).await;
    reader.until_sent("rotated-text", false).await;
    room.admin.apply(&config_map("audit", "used-map", &[("response.body", "third-text")])).await;
    reader.until_sent("third-text", true).await;

    let events = asked(&room, 8).await;
    let gets = events.iter().filter(|event| event["verb"] == "get");
    let names: BTreeSet<_> = gets.filter_map(|event| event["objectRef"]["name"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["used", "used-map", "used-token"]));
    // Lists are of metadata: the answers, which are written down whole, have nothing of others.
    let lists: Vec<_> = events.iter().filter(|event| event["verb"] == "list").collect();
    assert_eq!(lists.len(), 2, "one of each kind");
    assert!(lists.iter().all(|list| list["responseObject"]["kind"] == "PartialObjectMetadataList"), "{lists:?}");
    let all = json!(events).to_string();
    assert!(!all.contains("canary-of-an-unused-map"));
    let encoded =
        secret("", "", &[("k", "canary-of-an-unused-secret")])["data"]["k"].as_str().unwrap()[..24].to_owned();
    assert!(!all.contains(&encoded));
    println!("{} requests for the contents of 3 objects among 43, two of them lists of metadata", events.len());
}

/// An account of which all that it asks is written down.
const ACCOUNT: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: audit}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: audit-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: reader, namespace: audit}]
";

/// What was written down of the reader, once there is as much as is expected.
async fn asked(room: &Room, least: usize) -> Vec<Value> {
    let read = async || {
        let events = room.stay.cluster().audited().ok()?;
        let events: Vec<_> = events.into_iter().filter(|event| event["user"]["username"] == AUDITED).collect();
        (events.len() >= least).then_some(events)
    };
    wait_for("what the server writes down", PATIENCE, read).await.expect("it is written down")
}

/// A line of a PEM file that no other has.
pub(crate) fn first_line(pem: &str) -> &str {
    pem.lines().nth(2).expect("it has three lines")
}

#[tokio::test]
async fn a_certificate_comes_with_the_listener_that_names_it() {
    let room = Room::new("together").await;
    let ca = Ca::new("together").unwrap();
    let (one, two) = (ca.server(&["r.example"]).unwrap(), ca.server(&["r.example"]).unwrap());
    let with = |secret: &str| {
        gateway("together", "gw", "together", json!([https("https", 443, "r.example", &json!({"name": secret}))]))
    };
    room.admin
        .apply_all(&[certificate("together", "one", &one), certificate("together", "two", &two), with("one")])
        .await;
    room.controller.until_sent(first_line(&one.key), true).await;
    // At no time is there a listener without its certificate.
    let mut output = room.controller.outlets.output.subscribe();
    output.mark_unchanged();
    room.admin.apply(&with("two")).await;
    let sent = async {
        loop {
            output.changed().await.expect("the engine runs");
            let next = output.borrow_and_update().clone().expect("there is one");
            let (of_one, of_two) = (sends(&next, first_line(&one.key)), sends(&next, first_line(&two.key)));
            // Something else may have changed before.
            assert!(of_one != of_two, "one: {of_one}, two: {of_two}");
            if of_two {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.expect("it is sent");
}
