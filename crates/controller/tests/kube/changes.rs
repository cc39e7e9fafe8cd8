//! What is created, changed and deleted reaches what Envoys get, for every kind; and how soon.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use api::KINDS;
use controller::pipeline::Output;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    manifests::{EXTENSIONS, MULTICLUSTER, namespace, object, route, service, service_import},
    room::{Room, sends},
};

pub(super) const GROUND: &str = include_str!("ground.yaml");
const LIVES: &str = include_str!("lives.yaml");

/// An object in two forms, each of which leaves a mark in what Envoys get.
pub(super) struct Life {
    pub(super) forms: [Value; 2],
    pub(super) marks: [String; 2],
}

impl Life {
    fn read(document: &str) -> Self {
        let marks = document.lines().find_map(|line| line.strip_prefix("# marks: ")).expect("it has marks");
        let (one, two) = marks.split_once(' ').expect("there are two");
        let [one, two] = [one, two].map(|mark| mark.rsplit_once('=').unwrap_or((mark, mark)));
        let form = |word: &str| serde_saphyr::from_str(&document.replace("MARK", word)).expect("it is YAML");
        Self { forms: [form(one.0), form(two.0)], marks: [one.1.to_owned(), two.1.to_owned()] }
    }

    pub(super) fn kind(&self) -> &str {
        self.forms[0]["kind"].as_str().expect("it has a kind")
    }
}

/// A life of every kind. `named` gives it the names of its namespaces.
pub(super) fn lives(named: impl Fn(&str) -> String) -> Vec<Life> {
    named(LIVES).split("\n---\n").map(Life::read).collect()
}

#[tokio::test]
async fn every_kind_comes_changes_and_goes() {
    let room = Room::with("changes", &["changes-other"]).await;
    let named = |text: &str| text.replace("NS", "changes").replace("OTHER", "changes-other");
    room.stay.cluster().apply(&named(GROUND)).await.unwrap();
    room.controller.until_sent("service/changes/web", true).await;
    let lives = lives(named);
    let kinds: BTreeSet<_> = lives.iter().map(Life::kind).collect();
    assert_eq!(kinds, KINDS.iter().map(|row| row.kind).collect::<BTreeSet<_>>());
    for life in &lives {
        let (kind, [one, two], [first, second]) = (life.kind(), &life.marks, &life.forms);
        let output = room.controller.outlets.output.borrow().clone().expect("there is one");
        assert!(!sends(&output, one) && !sends(&output, two), "{kind}");
        room.admin.apply(first).await;
        room.controller.until_sent(one, true).await;
        room.admin.apply(second).await;
        let sent = room.controller.until_sent(two, true).await;
        assert!(!sends(&sent, one), "{kind}: what it was stays");
        room.admin.delete(second).await;
        if kind == "EnvoyProxy" {
            // Nobody says any more how these Envoys are to be run: they go on as they are.
            let staying = room.controller.until("a fleet to stay", |output| !output.staying.is_empty()).await;
            assert!(sends(&staying, two), "what it was is gone");
        } else {
            room.controller.until_sent(two, false).await;
        }
    }
    assert_eq!(room.controller.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_service_that_nobody_refers_to_is_kept_aside() {
    let room = Room::new("aside").await;
    room.admin.apply(&room.gateway()).await;
    room.admin.apply_all(&service("aside", "v", "10.1.0.1")).await;
    room.admin.apply_all(&service("aside", "w", "10.1.0.2")).await;
    let to = |service: &str| route("aside", "r", "r.example", json!([{"name": service, "port": 80}]));
    let names = |output: &Output| {
        let slices = output.resources.endpoint_slices.iter().map(|slice| slice.metadata.name.clone());
        let services = output.resources.services.iter().map(|service| service.metadata.name.clone());
        services.chain(slices).flatten().collect::<Vec<_>>()
    };
    room.admin.apply(&to("v")).await;
    room.controller.until("one Service", |output| names(output) == ["v", "v-1"]).await;
    // It changes nothing, and is there as it is now once somebody refers to it.
    room.admin.apply(&service("aside", "w", "10.1.0.3")[1]).await;
    room.admin.apply(&to("w")).await;
    let output = room.controller.until("the other Service", |output| names(output) == ["w", "w-1"]).await;
    assert!(sends(&output, "10.1.0.3") && !sends(&output, "10.1.0.1"));
    room.admin.delete(&to("w")).await;
    room.controller.until("no Service", |output| names(output).is_empty()).await;
}

#[tokio::test]
async fn a_slice_may_be_a_services_and_a_service_imports() {
    let room = Room::new("imports").await;
    room.admin.apply(&room.gateway()).await;
    let [import, mut slice] = service_import("imports", "far", "10.1.0.1");
    slice["metadata"]["labels"]["kubernetes.io/service-name"] = json!("derived");
    room.admin.apply_all(&[import, slice, service("imports", "derived", "10.1.0.2")[0].clone()]).await;
    let to_import = json!([{"group": MULTICLUSTER, "kind": "ServiceImport", "name": "far", "port": 80}]);
    let to_import = route("imports", "r", "r.example", to_import);
    let to_service = route("imports", "s", "s.example", json!([{"name": "derived", "port": 80}]));
    room.admin.apply(&to_import).await;
    let sent = room.controller.until_sent("10.1.0.1", true).await;
    assert!(sends(&sent, "serviceimport/imports/far/80"));
    room.admin.apply(&to_service).await;
    room.controller.until_sent("service/imports/derived/80", true).await;
    // It stays while one of the two is referred to.
    room.admin.delete(&to_import).await;
    let sent = room.controller.until_sent("serviceimport/imports/far/80", false).await;
    assert!(sends(&sent, "10.1.0.1"));
    room.admin.delete(&to_service).await;
    room.controller.until("no slice", |output| output.resources.endpoint_slices.is_empty()).await;
    room.admin.apply(&to_service).await;
    room.controller.until_sent("10.1.0.1", true).await;
}

/// The figures depend on the machine; even a small and busy one takes no second for most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_route_is_sent_soon() {
    let room = Room::new("soon").await;
    room.admin.apply(&room.gateway()).await;
    room.admin.apply_all(&service("soon", "web", "10.1.0.1")).await;
    let mut times = Vec::new();
    let mut output = room.controller.outlets.output.subscribe();
    for round in 0..100 {
        let host = format!("r{round}.example");
        let changed = route("soon", "r", &host, json!([{"name": "web", "port": 80}]));
        let begun = Instant::now();
        let heard = async {
            let found = output.wait_for(|output| output.as_ref().is_some_and(|output| sends(output, &host)));
            timeout(testbed::PATIENCE, found).await.expect("it is sent").expect("the engine runs");
            Instant::now()
        };
        let answered = async {
            room.admin.apply(&changed).await;
            Instant::now()
        };
        let (heard, answered) = tokio::join!(heard, answered);
        times.push((heard.saturating_duration_since(answered), heard - begun));
    }
    let from_answer = percentiles(times.iter().map(|(time, _)| *time).collect());
    let from_request = percentiles(times.iter().map(|(_, time)| *time).collect());
    println!(
        "HTTPRoute to output, p50 and p99 of 100: {from_answer:?} after the answer, {from_request:?} after the request"
    );
    assert!(from_request[0] < Duration::from_secs(1), "{from_request:?}");
}

fn percentiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_few_outputs() {
    let room = Room::new("burst").await;
    room.admin.apply(&room.gateway()).await;
    let before = room.controller.until("the Gateway", |output| output.fleets.len() == 1).await.revision;
    let routes = (0..300).map(|n| route("burst", &format!("r{n}"), &format!("r{n}.example"), json!([])));
    let admin = &room.admin;
    futures::future::join_all(routes.map(|route| async move { admin.apply(&route).await })).await;
    let after = room.controller.until("all routes", |output| output.resources.http_routes.len() == 300).await;
    let outputs = after.revision - before;
    println!("300 routes at once: {outputs} outputs");
    assert!(outputs < 150, "{outputs}");
}

#[tokio::test]
async fn namespaces_are_chosen_by_label_as_they_come_and_go() {
    use api::config::{Watch, WatchType};
    let room = Room::new("labels").await;
    room.admin.apply(&room.gateway()).await;
    let mut far = route("labels-far", "far", "far.example", json!([]));
    far["spec"]["parentRefs"] = json!([{"name": "gw", "namespace": "labels"}]);
    room.admin.apply(&namespace("labels-far")).await;
    room.admin.apply_all(&[far, route("labels", "near", "near.example", json!([]))]).await;
    let selector = serde_json::from_value(json!({"matchLabels": {"labels": "yes"}})).unwrap();
    let watch =
        Watch { r#type: WatchType::NamespaceSelector, namespaces: Vec::new(), namespace_selector: Some(selector) };
    let config = super::admin::config(&room.stay.cluster().kubeconfig()).await.unwrap();
    let chooser = super::room::Controller::start(config, "test.example/labels", Some(&watch)).await;
    let label = async |name: &str, value: Value| {
        room.admin.patch(&namespace(name), &json!({"metadata": {"labels": {"labels": value}}})).await
    };
    // A Secret of a namespace that is not read is not read either, whoever refers to it.
    let token = |text: &str| super::manifests::secret("labels-far", "token", &[("credential", text)]);
    let value = json!({"group": "", "kind": "Secret", "name": "token", "namespace": "labels-far"});
    let spec = json!({"credentialInjection": {"credential": {"valueRef": value}}});
    room.admin.apply(&token("first")).await;
    room.admin.apply(&object(EXTENSIONS, "HTTPRouteFilter", "labels", "inject", spec)).await;
    let content = |output: &Output| {
        let secret = output.resources.secrets.get("labels-far", "token")?;
        Some(String::from_utf8_lossy(&secret.data.as_ref()?.get("credential")?.0).into_owned())
    };
    label("labels", json!("yes")).await;
    let sent = chooser.until_sent("near.example", true).await;
    assert!(!sends(&sent, "far.example"));
    let sent = chooser.until("the filter", |output| output.resources.http_route_filters.len() == 1).await;
    assert_eq!(content(&sent), None);
    label("labels-far", json!("yes")).await;
    chooser.until_sent("far.example", true).await;
    chooser.until("the Secret", |output| content(output).as_deref() == Some("first")).await;
    room.admin.apply(&token("second")).await;
    chooser.until("the changed Secret", |output| content(output).as_deref() == Some("second")).await;
    label("labels-far", Value::Null).await;
    chooser.until("the Secret to be gone", |output| content(output).is_none()).await;
    let sent = chooser.until_sent("far.example", false).await;
    assert!(sends(&sent, "near.example"));
}
