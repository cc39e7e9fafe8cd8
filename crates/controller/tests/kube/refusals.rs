//! A server that refuses: one that is overloaded or fails for one kind (a double), and one that forbids (a real one).

use std::time::Duration;

use api::{
    Stored as _,
    config::{Watch, WatchType},
};
use http::Method;
use serde_json::{Value, json};
use testbed::{PATIENCE, wait::wait_until};

use super::{
    double::Double,
    house::Stay,
    manifests::{class, gateway, http, route, service_import},
    room::{Controller, Room, sends},
};

fn objects() -> [(&'static str, Value); 3] {
    let given = |mut object: Value| {
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["generation"] = json!(1);
        object
    };
    [
        ("gatewayclasses", given(class("eg", "test.example/double"))),
        ("gateways", given(gateway("default", "gw", "eg", http()))),
        ("httproutes", given(route("default", "r", "r.example", json!([])))),
    ]
}

/// The times between requests.
fn pauses(asked: &[std::time::Instant]) -> Vec<Duration> {
    asked.windows(2).map(|two| two[1] - two[0]).collect()
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_when_it_says() {
    let _stay = Stay::begin().await;
    let double = Double::start(&objects()).await;
    double.refuse(Method::GET, "/httproutes", 429, Some(1));
    let controller = Controller::begin(double.config(), "test.example/double", None).unwrap();
    // It is told at once, and nothing of it is acted upon before everything was read.
    let is_told =
        |told: &[String]| told.iter().any(|told| told.starts_with("httproutes cannot be read just now: too many"));
    controller.until_problems("what is refused", is_told).await;
    let thrice = async || double.asked(&Method::GET, "/httproutes").len() >= 3;
    wait_until("three requests", PATIENCE, thrice).await.unwrap();
    let pauses = pauses(&double.asked(&Method::GET, "/httproutes"));
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(1)), "{pauses:?}");
    assert!(controller.outlets.output.borrow().is_none());
    double.relent();
    controller.until_sent("r.example", true).await;
    controller.until_problems("nothing to be wrong", <[String]>::is_empty).await;
}

#[tokio::test]
async fn a_status_that_is_refused_is_written_later() {
    let _stay = Stay::begin().await;
    let double = Double::start(&objects()).await;
    double.refuse(Method::PATCH, "/httproutes/r/status", 429, Some(1));
    double.refuse(Method::PATCH, "/gateways/gw/status", 503, None);
    let controller = Controller::start(double.config(), "test.example/double", None).await;
    controller.leads.send_replace(true);
    let asked = |path: &str| double.asked(&Method::PATCH, path);
    let often = async || asked("/httproutes/r/status").len() >= 2 && asked("/gateways/gw/status").len() >= 3;
    wait_until("further attempts", PATIENCE, often).await.unwrap();
    let overloaded = pauses(&asked("/httproutes/r/status"));
    assert!(overloaded.iter().all(|pause| *pause >= Duration::from_secs(1)), "{overloaded:?}");
    // Who is not told how long waits 200 ms or some less, and then longer each time.
    let failed = pauses(&asked("/gateways/gw/status"));
    assert!(failed[0] >= Duration::from_millis(100) && failed[1] >= Duration::from_millis(200), "{failed:?}");
    double.relent();
    let again = async || !asked("/httproutes/r/status").is_empty() && !asked("/gateways/gw/status").is_empty();
    wait_until("the writes", PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn what_is_forbidden_is_said_with_the_role_that_is_missing() {
    let room = Room::new("forbidden").await;
    let config = room.reader(ROLES).await;
    let controller = Controller::begin(config, "test.example/forbidden", None).unwrap();
    let role = "secrets cannot be read, and nothing is configured without them: secrets is forbidden";
    let told =
        controller.until_problems("what is forbidden", |told| told.iter().any(|told| told.starts_with(role))).await;
    assert!(told.iter().all(|told| told.ends_with("allow get, list and watch with a ClusterRole")), "{told:#?}");
    // All else is read, and none of it is in force: half of a cluster is not to be acted upon.
    assert!(!*controller.source.listed().borrow());
    assert!(controller.outlets.output.borrow().is_none());
}

#[tokio::test]
async fn a_list_that_fails_for_long_is_tried_again_within_two_seconds() {
    let _stay = Stay::begin().await;
    let double = Double::start(&objects()).await;
    double.refuse(Method::GET, "/httproutes", 503, None);
    let controller = Controller::begin(double.config(), "test.example/double", None).unwrap();
    let often = async || double.asked(&Method::GET, "/httproutes").len() >= 8;
    wait_until("eight attempts", PATIENCE, often).await.unwrap();
    let pauses = pauses(&double.asked(&Method::GET, "/httproutes"));
    // Two seconds, and one for a machine that has other things to do.
    assert!(pauses.iter().all(|pause| *pause < Duration::from_secs(3)), "{pauses:?}");
    double.relent();
    controller.until_sent("r.example", true).await;
}

#[tokio::test]
async fn a_kind_of_back_ends_that_is_forbidden_keeps_nothing_else_from_being_read() {
    let room = Room::new("partly").await;
    let config = room.reader(&ROLES_OF_ONE.replace("roles", "partly").replace(", multicluster.x-k8s.io", "")).await;
    let watch =
        Watch { r#type: WatchType::Namespaces, namespaces: vec!["partly".to_owned()], namespace_selector: None };
    let import = json!([{"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "name": "far", "port": 80}]);
    let both = [route("partly", "r", "r.example", json!([])), route("partly", "far", "far.example", import)];
    room.admin.apply_all(&both).await;
    room.admin.apply_all(&service_import("partly", "far", "10.9.9.9")).await;
    room.admin.apply(&room.gateway()).await;
    let controller = Controller::start(config, "test.example/partly", Some(&watch)).await;
    let output = controller.until_sent("r.example", true).await;
    assert!(!sends(&output, "10.9.9.9"));
    let said = |told: &[String]| {
        let words = "serviceimports cannot be read, and what refers to them fails and all else goes on";
        told.iter().any(|told| told.starts_with(words) && told.ends_with("a Role in the namespace partly"))
    };
    controller.until_problems("what is forbidden", said).await;

    let right = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "imports", "namespace": "partly"}, "rules": [
            {"apiGroups": ["multicluster.x-k8s.io"], "resources": ["serviceimports"], "verbs": ["list", "watch"]}]});
    let given = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "imports", "namespace": "partly"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "imports"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "partly"}]});
    for object in [right, given] {
        room.stay.cluster().apply(&object.to_string()).await.unwrap();
    }
    controller.until_sent("10.9.9.9", true).await;
    controller.until_problems("nothing more to be forbidden", |told| !said(told)).await;
}

#[tokio::test]
async fn a_role_in_the_namespace_that_is_read_is_enough() {
    let room = Room::new("roles").await;
    let config = room.reader(ROLES_OF_ONE).await;
    let watch = Watch { r#type: WatchType::Namespaces, namespaces: vec!["roles".to_owned()], namespace_selector: None };
    room.admin.apply_all(&[room.gateway(), route("roles", "r", "r.example", json!([]))]).await;
    let controller = Controller::start(config, "test.example/roles", Some(&watch)).await;
    let output = controller.until_sent("r.example", true).await;
    let told = controller.until_problems("the Namespace", |told| told.len() == 1).await;
    assert!(told[0].starts_with("the labels of Namespace roles may not be read"), "{told:?}");
    // Its labels are not known, but its name is.
    let namespace = output.resources.namespaces.get("", "roles").unwrap();
    assert_eq!(namespace.label("kubernetes.io/metadata.name"), Some("roles"));
}

const ROLES_OF_ONE: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: roles}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: roles}
rules:
- {apiGroups: [gateway.networking.k8s.io, gateway.envoyproxy.io, multicluster.x-k8s.io, discovery.k8s.io], resources: ['*'], \
verbs: [get, list, watch]}
- {apiGroups: [''], resources: [services, secrets, configmaps], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: roles}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: roles}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: roles-reader}
rules: [{apiGroups: [gateway.networking.k8s.io], resources: [gatewayclasses], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: roles-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: roles-reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: roles}]
";

const ROLES: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: forbidden}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: forbidden-reader}
rules:
- {apiGroups: [gateway.networking.k8s.io, gateway.envoyproxy.io, discovery.k8s.io, apiextensions.k8s.io], resources: ['*'], \
verbs: ['*']}
- {apiGroups: [''], resources: [namespaces, services, configmaps], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: forbidden-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: forbidden-reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: forbidden}]
";
