//! What is written back: once, only what is ours, and only while this controller leads.

use std::sync::Arc;

use api::config::{Watch, WatchType};
use serde_json::{Value, json};
use testbed::{PATIENCE, wait::wait_for};

use super::{
    manifests::{GATEWAY_API, class, gateway, http, namespace, object, route, service},
    room::{Controller, Room, controller_name},
};

const FINALIZER: &str = "gateway-exists-finalizer.gateway.networking.k8s.io";

fn backends() -> Value {
    json!([{"name": "web", "port": 80}])
}

/// The entry of a controller in a list that all controllers share.
fn entry<'a>(object: &'a Value, list: &str, controller: &str) -> Option<&'a Value> {
    object["status"][list].as_array()?.iter().find(|entry| entry["controllerName"] == controller)
}

/// A condition of an entry: its status and the generation that it was observed for.
fn condition<'a>(entry: Option<&'a Value>, name: &str) -> (&'a str, i64) {
    let conditions = entry.and_then(|entry| entry["conditions"].as_array()).into_iter().flatten();
    let found = conditions.into_iter().find(|condition| condition["type"] == name);
    let found = found.map(|found| (found["status"].as_str(), found["observedGeneration"].as_i64()));
    found.map_or(("", 0), |(status, generation)| (status.unwrap_or_default(), generation.unwrap_or_default()))
}

/// Waits until everything that was written has come back to the writer: what is said of a route on a Gateway of its own, that is
/// made now, is written after all that was to be written before.
async fn settle(room: &Room, round: &str) {
    let name = format!("marker-{round}");
    let mut marker = route(&room.name, &name, "marker.example", json!([]));
    marker["spec"]["parentRefs"] = json!([{"name": name}]);
    room.admin.apply(&gateway(&room.name, &name, &room.name, http())).await;
    room.admin.apply(&marker).await;
    let controller = controller_name(&room.name);
    let is_told = |route: &Value| entry(route, "parents", &controller).is_some();
    room.admin.until("the marker's status", &marker, is_told).await;
}

#[tokio::test]
async fn the_leader_writes_once_and_the_others_do_not() {
    let room = Room::new("once").await;
    let r = route("once", "r", "r.example", backends());
    let objects = [room.gateway(), r.clone(), class("once", &controller_name("once"))];
    room.admin.apply_all(&objects).await;
    room.admin.apply_all(&service("once", "web", "10.1.0.1")).await;
    // All that the statuses speak of has been read, before anybody writes: a status that is right at once is written once.
    let ours = controller_name("once");
    let is_resolved = async || {
        let statuses = room.controller.outlets.statuses.borrow().clone()?;
        let mut routes = statuses.into_iter().filter(|(reference, _)| reference.kind == "HTTPRoute");
        let status = json!({"status": routes.next()?.1.status()});
        (condition(entry(&status, "parents", &ours), "ResolvedRefs").0 == "True").then_some(())
    };
    wait_for("the references of the route", PATIENCE, is_resolved).await.expect("the Service was applied");
    room.controller.leads.send_replace(true);
    let is_accepted = |route: &Value| condition(entry(route, "parents", &ours), "Accepted") == ("True", 1);
    room.admin.until("Accepted", &r, is_accepted).await;
    settle(&room, "one").await;
    let versions = async || {
        let mut versions = Vec::new();
        for object in &objects {
            versions.push(room.admin.version(object).await);
        }
        versions
    };
    let before = versions().await;
    let written = room.controller.counted("portcullis_status_writes_total", &[("kind", "HTTPRoute")]);
    // One for the route, one for the marker.
    assert!((written - 2.0).abs() < 0.5, "{written}");
    let read = room.controller.outlets.output.borrow().clone().unwrap();
    // A second one, another leader, and a change of what is no status: nothing is written.
    let config = super::admin::config(&room.stay.cluster().kubeconfig()).await.unwrap();
    let second = Controller::start(config, &ours, None).await;
    second.leads.send_replace(true);
    settle(&room, "two").await;
    settle(&room, "three").await;
    assert_eq!(versions().await, before);
    // What was written meanwhile is no change of what it was written to.
    let now = room.controller.outlets.output.borrow().clone().unwrap();
    let routes = [&read, &now].map(|output| output.resources.http_routes.get("once", "r").unwrap());
    let gateways = [&read, &now].map(|output| output.resources.gateways.get("once", "gw").unwrap());
    assert!(Arc::ptr_eq(routes[0], routes[1]) && Arc::ptr_eq(gateways[0], gateways[1]));
    let labelled = room.admin.patch(&r, &json!({"metadata": {"labels": {"a": "b"}}})).await;
    settle(&room, "four").await;
    assert_eq!(room.admin.version(&r).await, labelled["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn what_is_said_names_the_generation_it_was_said_of() {
    let room = Room::new("generations").await;
    room.controller.leads.send_replace(true);
    let ours = controller_name("generations");
    let r = route("generations", "r", "r.example", backends());
    room.admin.apply_all(&[room.gateway(), r.clone()]).await;
    room.admin.apply_all(&service("generations", "web", "10.1.0.1")).await;
    let said = |generation: i64| {
        let ours = ours.clone();
        move |route: &Value| condition(entry(route, "parents", &ours), "ResolvedRefs") == ("True", generation)
    };
    let first = room.admin.until("the first generation", &r, said(1)).await;
    room.admin.apply(&route("generations", "r", "r2.example", backends())).await;
    let second = room.admin.until("the second generation", &r, said(2)).await;
    // The same is true for as long as it was.
    let time = |object: &Value| object["status"]["parents"][0]["conditions"][0]["lastTransitionTime"].clone();
    assert_eq!(time(&first), time(&second));
    let gateway = room.admin.get(&room.gateway()).await.unwrap();
    assert_eq!(condition(Some(&gateway["status"]), "Accepted"), ("True", 1));
    let class = room.admin.get(&class("generations", &ours)).await.unwrap();
    assert_eq!(condition(Some(&class["status"]), "Accepted"), ("True", 1));
}

#[tokio::test]
async fn entries_of_other_controllers_stay_and_ours_go_with_the_parent() {
    let room = Room::new("others").await;
    let ours = controller_name("others");
    let r = route("others", "r", "r.example", backends());
    let target = json!([{"group": "", "kind": "Service", "name": "web"}]);
    let validation = json!({"hostname": "x.example", "wellKnownCACertificates": "System"});
    let spec = json!({"targetRefs": target, "validation": validation});
    let policy = object(GATEWAY_API, "BackendTLSPolicy", "others", "p", spec);
    room.admin.apply_all(&service("others", "web", "10.1.0.1")).await;
    room.admin.apply_all(&[room.gateway(), r.clone(), policy.clone()]).await;
    let foreign = |field: &str| {
        json!({field: {"group": GATEWAY_API, "kind": "Gateway", "name": "theirs"}, "controllerName": "b.example/theirs",
            "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}]})
    };
    let (parent, ancestor) = (foreign("parentRef"), foreign("ancestorRef"));
    room.admin.patch_status(&r, &json!({"parents": [parent]})).await;
    room.admin.patch_status(&policy, &json!({"ancestors": [ancestor]})).await;
    room.controller.leads.send_replace(true);
    let written = room.admin.until("our parent", &r, |route| entry(route, "parents", &ours).is_some()).await;
    assert!(written["status"]["parents"].as_array().unwrap().contains(&parent));
    let is_told = |policy: &Value| entry(policy, "ancestors", &ours).is_some();
    let written = room.admin.until("our ancestor", &policy, is_told).await;
    assert!(written["status"]["ancestors"].as_array().unwrap().contains(&ancestor));
    // Somebody throws ours out: it comes again.
    room.admin.patch_status(&r, &json!({"parents": [parent]})).await;
    room.admin.until("our parent again", &r, |route| entry(route, "parents", &ours).is_some()).await;
    // The route turns to the others' Gateway: our entries go, theirs stay.
    let mut turned = r.clone();
    turned["spec"]["parentRefs"] = json!([{"name": "theirs"}]);
    room.admin.apply(&turned).await;
    room.admin.until("only theirs", &r, |route| route["status"]["parents"] == json!([parent])).await;
    room.admin.until("only theirs", &policy, |policy| policy["status"]["ancestors"] == json!([ancestor])).await;
}

/// Nothing is left that a status could be said of: an earlier process's words go all the same.
#[tokio::test]
async fn what_an_earlier_process_said_goes_with_the_last_class() {
    let room = Room::new("leftovers").await;
    let ours = controller_name("leftovers");
    let r = route("leftovers", "r", "r.example", json!([]));
    room.admin.apply(&r).await;
    let entry_of = |name: &str| {
        json!({"parentRef": {"group": GATEWAY_API, "kind": "Gateway", "name": "gw"}, "controllerName": name,
            "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}]})
    };
    let theirs = entry_of("b.example/theirs");
    room.admin.patch_status(&r, &json!({"parents": [entry_of(&ours), theirs]})).await;
    room.admin.delete(&class("leftovers", &ours)).await;
    let watch =
        Watch { r#type: WatchType::Namespaces, namespaces: vec!["leftovers".to_owned()], namespace_selector: None };
    let config = super::admin::config(&room.stay.cluster().kubeconfig()).await.unwrap();
    let restarted = Controller::start(config, &ours, Some(&watch)).await;
    restarted.leads.send_replace(true);
    room.admin.until("only theirs", &r, |route| route["status"]["parents"] == json!([theirs])).await;
}

/// Kuadrant and others put conditions of their own on Gateways.
#[tokio::test]
async fn conditions_of_others_stay() {
    let room = Room::new("conditions").await;
    room.controller.leads.send_replace(true);
    let gateway = room.gateway();
    room.admin.apply(&gateway).await;
    let is_accepted = |generation: i64| {
        move |gateway: &Value| condition(Some(&gateway["status"]), "Accepted") == ("True", generation)
    };
    let told = room.admin.until("our conditions", &gateway, is_accepted(1)).await;
    let theirs = json!({"type": "kuadrant.io/AuthPolicyAffected", "status": "True", "reason": "Accepted", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
    let mut status = told["status"].clone();
    for part in ["/conditions", "/listeners/0/conditions"] {
        status.pointer_mut(part).and_then(Value::as_array_mut).expect("it is told").push(theirs.clone());
    }
    room.admin.patch_status(&gateway, &status).await;
    // What is ours is written again, with theirs beside it.
    room.admin
        .patch(&gateway, &json!({"spec": {"listeners": [{"name": "http", "port": 81, "protocol": "HTTP"}]}}))
        .await;
    let told = room.admin.until("the second generation", &gateway, is_accepted(2)).await;
    for part in ["/status/conditions", "/status/listeners/0/conditions"] {
        let conditions = told.pointer(part).and_then(Value::as_array).expect("it is told");
        assert!(conditions.contains(&theirs), "{part}: {told:#}");
    }
    settle(&room, "one").await;
    let before = room.admin.version(&gateway).await;
    settle(&room, "two").await;
    assert_eq!(room.admin.version(&gateway).await, before, "nobody writes for ever");
}

#[tokio::test]
async fn writers_that_meet_lose_nothing() {
    let room = Room::new("conflicts").await;
    room.controller.leads.send_replace(true);
    let ours = controller_name("conflicts");
    let r = route("conflicts", "r", "r.example", backends());
    room.admin.apply_all(&[room.gateway(), r.clone()]).await;
    for round in 0..10_i64 {
        let host = json!({"spec": {"hostnames": [format!("r{round}.example")]}});
        let label = json!({"metadata": {"labels": {"round": round.to_string()}}});
        room.admin.patch(&r, &host).await;
        room.admin.patch(&r, &label).await;
        let wanted = |route: &Value| condition(entry(route, "parents", &ours), "Accepted") == ("True", round + 2);
        let told = room.admin.until("what is said of this round", &r, wanted).await;
        assert_eq!(told["metadata"]["labels"]["round"], round.to_string());
        assert_eq!(told["spec"]["hostnames"], json!([format!("r{round}.example")]));
    }
    let conflicts = [("kind", "HTTPRoute"), ("outcome", "conflict")];
    println!("conflicts in 10 rounds: {}", room.controller.counted("portcullis_status_writes_total", &conflicts));
}

#[tokio::test]
async fn a_class_stays_while_a_gateway_uses_it() {
    let room = Room::new("finalizer").await;
    room.controller.leads.send_replace(true);
    let class = class("finalizer", &controller_name("finalizer"));
    let has =
        |class: &Value| class["metadata"]["finalizers"].as_array().is_some_and(|all| all.contains(&json!(FINALIZER)));
    room.admin.apply(&room.gateway()).await;
    room.admin.until("the finalizer", &class, has).await;
    room.admin.delete(&class).await;
    let dying = room.admin.get(&class).await.expect("it is still there");
    assert!(dying["metadata"]["deletionTimestamp"].is_string());
    room.admin.delete(&room.gateway()).await;
    let gone = async || room.admin.get(&class).await.is_none();
    testbed::wait::wait_until("the end of the class", testbed::PATIENCE, gone).await.unwrap();
    // An unused class never has it.
    let unused = super::manifests::class("finalizer", &controller_name("finalizer"));
    room.admin.apply(&unused).await;
    room.admin.apply(&namespace("finalizer")).await;
    let is_accepted = |class: &Value| condition(Some(&class["status"]), "Accepted").0 == "True";
    assert!(!has(&room.admin.until("its status", &unused, is_accepted).await));
}
