use std::time::Duration;

use api::{
    Stored,
    config::{Watch, WatchType},
};
use controller::source::{Seen, Severity, kube::KubeSource};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use super::double::ApiServer;

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Waits until what is seen is as it is wanted.
pub(crate) async fn until(seen: &mut watch::Receiver<Seen>, wanted: impl FnMut(&Seen) -> bool) -> Seen {
    let found = timeout(Duration::from_secs(20), seen.wait_for(wanted)).await;
    found.expect("it is seen in time").expect("the source runs").clone()
}

pub(crate) async fn listed(source: &KubeSource) -> watch::Receiver<Seen> {
    let mut listed = source.listed();
    let all = timeout(Duration::from_secs(20), listed.wait_for(|listed| *listed)).await;
    all.expect("it is listed in time").expect("the source runs");
    source.seen()
}

pub(crate) fn class() -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"},
        "spec": {"controllerName": api::config::CONTROLLER_NAME}})
}

pub(crate) fn gateway(name: &str, secret: Option<&str>) -> Value {
    let listener = match secret {
        None => json!({"name": "l", "port": 80, "protocol": "HTTP"}),
        Some(secret) => {
            json!({"name": "l", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": secret}]}})
        }
    };
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": name, "namespace": "default", "generation": 1},
        "spec": {"gatewayClassName": "eg", "listeners": [listener]}})
}

pub(crate) fn route(name: &str, host: &str, service: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default", "generation": 1, "managedFields": [{"manager": "kubectl"}]},
        "spec": {"parentRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": "eg"}], "hostnames": [host],
                 "rules": [{"backendRefs": [{"name": service, "port": 80}]}]}})
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": name}}})
}

fn slice(service: &str, address: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-1"), "namespace": "default", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": [address]}]})
}

fn secret(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": {"k": text}})
}

fn host(seen: &Seen, name: &str) -> Option<String> {
    seen.resources.http_routes.get("default", name)?.spec.hostnames.clone()?.pop()
}

fn start(server: &ApiServer) -> KubeSource {
    KubeSource::start(&server.client(), None)
}

#[tokio::test]
async fn what_is_created_changed_and_deleted_is_seen() {
    let server = ApiServer::new();
    server.put(class());
    server.put(route("a", "a.example", "v"));
    let source = start(&server);
    let mut seen = listed(&source).await;
    assert_eq!(host(&seen.borrow(), "a").as_deref(), Some("a.example"));
    assert!(seen.borrow().resources.gateway_classes.get("", "eg").is_some());

    server.put(route("b", "b.example", "v"));
    until(&mut seen, |seen| host(seen, "b").is_some()).await;
    server.put(route("b", "c.example", "v"));
    until(&mut seen, |seen| host(seen, "b").as_deref() == Some("c.example")).await;
    server.delete(&route("b", "", "v"));
    until(&mut seen, |seen| host(seen, "b").is_none()).await;
}

#[tokio::test]
async fn a_malformed_object_is_told_and_stalls_nothing() {
    let server = ApiServer::new();
    let mut poison = route("poison", "x", "v");
    poison["spec"]["hostnames"] = json!(7);
    server.put(poison.clone());
    server.put(route("a", "a.example", "v"));
    server.put(route("b", "b.example", "v"));
    let source = start(&server);
    let mut seen = listed(&source).await;
    let now = seen.borrow_and_update().clone();
    assert!(host(&now, "a").is_some() && host(&now, "poison").is_none());
    let told = now.problems.iter().find(|problem| problem.severity == Severity::Error).unwrap().to_string();
    assert!(told.starts_with("HTTPRoute default/poison: spec.hostnames: invalid type"), "{told}");

    // The last good version stays.
    let mut broken = route("b", "x", "v");
    broken["spec"]["rules"] = json!("none");
    server.put(broken);
    let now = until(&mut seen, |seen| seen.problems.len() > now.problems.len()).await;
    assert_eq!(host(&now, "b").as_deref(), Some("b.example"));
    server.put(route("a", "new.example", "v"));
    until(&mut seen, |seen| host(seen, "a").as_deref() == Some("new.example")).await;
    // What is mended or gone is not told any more.
    server.put(route("b", "b2.example", "v"));
    server.delete(&poison);
    let now = until(&mut seen, |seen| !seen.problems.iter().any(|problem| problem.severity == Severity::Error)).await;
    assert_eq!(host(&now, "b").as_deref(), Some("b2.example"));
}

#[tokio::test]
async fn only_services_that_are_referred_to_are_in_force() {
    let server = ApiServer::new();
    for name in ["v", "w"] {
        server.put(service(name));
        server.put(slice(name, "10.0.0.1"));
    }
    server.put(route("a", "a.example", "v"));
    let source = start(&server);
    let mut seen = listed(&source).await;
    let names = |seen: &Seen| {
        let slices = seen.resources.endpoint_slices.iter().map(|slice| slice.name().to_owned());
        seen.resources.services.iter().map(|service| service.name().to_owned()).chain(slices).collect::<Vec<_>>()
    };
    assert_eq!(names(&seen.borrow()), ["v", "v-1"]);

    // What nobody refers to changes nothing, and is there as it is now once somebody does.
    server.put(slice("w", "10.0.0.2"));
    server.put(route("a", "a.example", "w"));
    let now = until(&mut seen, |seen| names(seen) == ["w", "w-1"]).await;
    let slice = now.resources.endpoint_slices.get("default", "w-1").unwrap();
    assert_eq!(slice.endpoints[0].addresses, ["10.0.0.2"]);
    server.delete(&route("a", "", ""));
    until(&mut seen, |seen| names(seen).is_empty()).await;
}

#[tokio::test]
async fn the_content_of_a_secret_is_read_only_when_it_is_referred_to() {
    let server = ApiServer::new();
    server.put(secret("used", "MQ=="));
    server.put(secret("unused", "MQ=="));
    server.put(gateway("eg", Some("used")));
    let source = start(&server);
    let mut seen = listed(&source).await;
    let content = |seen: &Seen, name: &str| {
        let secret = seen.resources.secrets.get("default", name)?;
        Some(String::from_utf8(secret.data.clone()?.remove("k")?.0).unwrap())
    };
    assert_eq!(content(&seen.borrow(), "used").as_deref(), Some("1"));
    assert_eq!(seen.borrow().resources.secrets.len(), 1);
    assert_eq!(server.asked("GET /api/v1/namespaces/default/secrets/unused"), 0);

    server.put(secret("used", "Mg=="));
    until(&mut seen, |seen| content(seen, "used").as_deref() == Some("2")).await;
    server.delete(&secret("used", ""));
    until(&mut seen, |seen| content(seen, "used").is_none()).await;
    // A listener never refers to a certificate that is there and not read: both come together.
    server.put(gateway("eg", Some("unused")));
    let wants = |seen: &Seen| format!("{:?}", seen.resources.gateways).contains("unused");
    let now = until(&mut seen, wants).await;
    assert_eq!(content(&now, "unused").as_deref(), Some("1"));
}

#[tokio::test]
async fn what_happened_while_a_watch_was_too_old_is_found_out() {
    let server = ApiServer::new();
    server.put(gateway("eg", Some("s")));
    server.put(secret("s", "MQ=="));
    server.put(route("a", "a.example", "v"));
    server.put(route("b", "b.example", "v"));
    let source = start(&server);
    let mut seen = listed(&source).await;
    assert_eq!(seen.borrow().resources.secrets.len(), 1);
    server.fail(GATEWAY_API, "HTTPRoute", Some(503));
    server.fail("", "Secret", Some(503));
    server.compact();
    // The server cannot be asked: that is told, and what was read stays in force.
    let now = until(&mut seen, |seen| seen.problems.iter().any(|problem| problem.what.contains("httproutes"))).await;
    assert!(host(&now, "a").is_some());
    server.delete(&route("a", "", "v"));
    server.delete(&secret("s", ""));
    server.put(route("c", "c.example", "v"));
    server.compact();
    server.fail(GATEWAY_API, "HTTPRoute", None);
    server.fail("", "Secret", None);
    let now = until(&mut seen, |seen| host(seen, "c").is_some() && seen.resources.secrets.is_empty()).await;
    assert!(host(&now, "a").is_none() && host(&now, "b").is_some());
    until(&mut seen, |seen| !seen.problems.iter().any(|problem| problem.what.contains("httproutes"))).await;
}

#[tokio::test]
async fn a_kind_that_is_not_served_is_looked_for_again_when_a_crd_changes() {
    let server = ApiServer::new();
    server.fail(GATEWAY_API, "TCPRoute", Some(404));
    let source = start(&server);
    let mut seen = listed(&source).await;
    let noted = |seen: &Seen| seen.problems.iter().any(|problem| problem.what.starts_with("TCPRoute of "));
    let now = until(&mut seen, noted).await;
    assert!(now.problems.iter().all(|problem| problem.severity == Severity::Note), "{:?}", now.problems);
    server.fail(GATEWAY_API, "TCPRoute", None);
    server.touch_crds();
    let found = until(&mut seen, |seen| !noted(seen));
    found.await;
}

#[tokio::test]
async fn nothing_is_seen_before_everything_was_read() {
    let server = ApiServer::new();
    server.put(route("a", "a.example", "v"));
    server.fail("", "Secret", Some(403));
    let source = start(&server);
    let mut seen = source.seen();
    let now = until(&mut seen, |seen| seen.problems.iter().any(|problem| problem.severity == Severity::Error)).await;
    assert!(now.problems.iter().any(|problem| problem.what.contains("allow get, list and watch with a ClusterRole")));
    assert!(now.resources.http_routes.is_empty());
    assert!(!*source.listed().borrow());
}

#[tokio::test]
async fn only_the_namespaces_that_are_named_are_asked_for() {
    let server = ApiServer::new();
    server.fail("", "Namespace", Some(403));
    server.put(class());
    server.put(route("a", "a.example", "v"));
    let mut other = route("other", "x", "v");
    other["metadata"]["namespace"] = json!("other");
    server.put(other);
    let watch =
        Watch { r#type: WatchType::Namespaces, namespaces: vec!["default".to_owned()], namespace_selector: None };
    let source = KubeSource::start(&server.client(), Some(&watch));
    let seen = listed(&source).await;
    let now = seen.borrow().clone();
    assert!(host(&now, "a").is_some() && now.resources.http_routes.len() == 1);
    assert_eq!(server.asked("GET /apis/gateway.networking.k8s.io/v1/httproutes"), 0);
    // Its labels are not known, but its name is.
    let namespace = now.resources.namespaces.get("", "default").unwrap();
    assert_eq!(namespace.label("kubernetes.io/metadata.name"), Some("default"));
}

#[tokio::test]
async fn a_burst_is_few_publications() {
    let server = ApiServer::new();
    let source = start(&server);
    let mut seen = listed(&source).await;
    (0..500).for_each(|n| server.put(route(&format!("r{n}"), "a.example", "v")));
    let mut publications = 0;
    while seen.borrow_and_update().resources.http_routes.len() < 500 {
        timeout(Duration::from_secs(20), seen.changed()).await.unwrap().unwrap();
        publications += 1;
    }
    assert!(publications < 100, "{publications}");
}

#[tokio::test]
async fn namespaces_are_chosen_by_label_as_they_come_and_go() {
    let server = ApiServer::new();
    let namespace = |name: &str| {
        let labels = json!({"edge": "yes"});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    };
    let mut other = route("other", "x", "v");
    other["metadata"]["namespace"] = json!("other");
    server.put(namespace("default"));
    server.put(route("a", "a.example", "v"));
    server.put(other);
    let selector = serde_json::from_value(json!({"matchLabels": {"edge": "yes"}})).unwrap();
    let watch =
        Watch { r#type: WatchType::NamespaceSelector, namespaces: Vec::new(), namespace_selector: Some(selector) };
    let source = KubeSource::start(&server.client(), Some(&watch));
    let mut seen = listed(&source).await;
    assert_eq!(seen.borrow().resources.http_routes.len(), 1);
    server.put(namespace("other"));
    until(&mut seen, |seen| seen.resources.http_routes.len() == 2).await;
    server.delete(&namespace("default"));
    let now = until(&mut seen, |seen| seen.resources.http_routes.len() == 1).await;
    assert!(host(&now, "a").is_none());
}
