//! An API server for tests: lists, watches, status patches, and the faults that a real one shows too seldom to wait for.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use controller::api_server::path;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The API server. Clones share it.
#[derive(Clone)]
pub(crate) struct ApiServer {
    inner: Arc<Mutex<Inner>>,
    ticks: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    /// Objects by collection (`/apis/group/version/plural`), namespace and name.
    objects: BTreeMap<String, BTreeMap<(String, String), Value>>,
    /// What happened: version, collection, event.
    history: Vec<(u64, String, Value)>,
    version: u64,
    /// Versions up to this one are forgotten.
    compacted: u64,
    /// Collections that are answered with an error.
    errors: HashMap<String, u16>,
    /// What was asked for: method and path.
    asked: Vec<String>,
    /// Ends all watches that began before.
    restarts: u64,
}

/// What is asked for.
struct Target {
    collection: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: bool,
}

impl ApiServer {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::default(), ticks: watch::Sender::new(()) }
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(answer).with_state(self.clone()), "default")
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, mut object: Value) {
        let (collection, key) = place(&object);
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let before = inner.objects.entry(collection.clone()).or_default().insert(key, object.clone());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        inner.history.push((version, collection, json!({"type": kind, "object": object})));
        drop(inner);
        self.ticks.send_replace(());
    }

    /// Deletes an object, if it's there.
    pub(crate) fn delete(&self, object: &Value) {
        let (collection, key) = place(object);
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        let Some(mut object) = inner.objects.entry(collection.clone()).or_default().remove(&key) else { return };
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        inner.history.push((version, collection, json!({"type": "DELETED", "object": object})));
        drop(inner);
        self.ticks.send_replace(());
    }

    /// The object as it is.
    pub(crate) fn get(&self, object: &Value) -> Value {
        let (collection, key) = place(object);
        self.lock().objects.get(&collection).and_then(|objects| objects.get(&key)).cloned().unwrap_or_default()
    }

    /// Answers everything about a kind with this HTTP status; `None` to serve it again.
    pub(crate) fn fail(&self, group: &str, kind: &str, status: Option<u16>) {
        let row = api::Kind::find(group, kind).expect("it is a kind");
        let mut inner = self.lock();
        for version in row.versions {
            match status {
                Some(status) => inner.errors.insert(path(row, version, None), status),
                None => inner.errors.remove(&path(row, version, None)),
            };
        }
    }

    /// Says that CRDs changed.
    pub(crate) fn touch_crds(&self) {
        let mut inner = self.lock();
        inner.version += 1;
        let version = inner.version;
        let object = json!({"metadata": {"name": "x", "resourceVersion": version.to_string()}});
        let event = json!({"type": "MODIFIED", "object": object});
        inner.history.push((version, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(), event));
        drop(inner);
        self.ticks.send_replace(());
    }

    /// Forgets what happened, and ends all watches: each has to list again.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        inner.version += 1;
        inner.compacted = inner.version;
        inner.history.clear();
        inner.restarts += 1;
        drop(inner);
        self.ticks.send_replace(());
    }

    /// How often something was asked for that begins so, such as `PATCH /apis`.
    pub(crate) fn asked(&self, prefix: &str) -> usize {
        self.lock().asked.iter().filter(|asked| asked.starts_with(prefix)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panics with it")
    }
}

fn place(object: &Value) -> (String, (String, String)) {
    let row = api::parse::kind_of(object).expect("it is a kind");
    let version =
        object["apiVersion"].as_str().and_then(|version| version.rsplit('/').next()).expect("it has a version");
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (path(row, version, None), (text("namespace"), text("name")))
}

fn target(uri: &Uri) -> Target {
    let parts: Vec<_> = uri.path().trim_start_matches('/').split('/').collect();
    let root = if parts[0] == "api" { 2 } else { 3 };
    let (head, rest) = parts.split_at(root);
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    Target {
        collection: format!("/{}/{}", head.join("/"), rest[0]),
        namespace,
        name: rest.get(1).map(|name| (*name).to_owned()),
        subresource: rest.len() > 2,
    }
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message});
    (StatusCode::from_u16(code).expect("it is a status"), Json(body)).into_response()
}

async fn answer(
    State(server): State<ApiServer>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let target = target(&uri);
    server.lock().asked.push(format!("{method} {}", uri.path()));
    if let Some(code) = server.lock().errors.get(&target.collection) {
        return status(*code, "as the test wants it");
    }
    match (method, &target.name) {
        (Method::GET, None) if query.contains_key("watch") => watch(&server, &target, &query),
        (Method::GET, None) => list(&server, &target, &query),
        (Method::GET, Some(_)) => one(&server, &target),
        (Method::PATCH, Some(_)) => patch(&server, &target, &serde_json::from_slice(&body).expect("it is JSON")),
        _ => status(405, "not in this double"),
    }
}

fn key(target: &Target) -> (String, String) {
    (target.namespace.clone().unwrap_or_default(), target.name.clone().unwrap_or_default())
}

fn one(server: &ApiServer, target: &Target) -> Response {
    let inner = server.lock();
    match inner.objects.get(&target.collection).and_then(|objects| objects.get(&key(target))) {
        Some(object) => Json(object.clone()).into_response(),
        None => status(404, "not found"),
    }
}

/// Whether an object has the one label that a selector asks for.
fn is_selected(object: &Value, query: &HashMap<String, String>) -> bool {
    let label = query.get("labelSelector").and_then(|selector| selector.split_once('='));
    label.is_none_or(|(key, value)| object["metadata"]["labels"][key] == *value)
}

fn list(server: &ApiServer, target: &Target, query: &HashMap<String, String>) -> Response {
    let inner = server.lock();
    let objects = inner.objects.get(&target.collection).into_iter().flatten();
    let wanted =
        objects.filter(|((namespace, _), _)| target.namespace.as_ref().is_none_or(|wanted| wanted == namespace));
    // As in a real list, the items do not say what they are.
    let items = wanted.filter(|(_, object)| is_selected(object, query)).map(|(_, object)| {
        let mut object = object.clone();
        let fields = object.as_object_mut().expect("it is an object");
        fields.remove("apiVersion");
        fields.remove("kind");
        object
    });
    let items: Vec<_> = items.collect();
    // As in a real list of metadata, none is null.
    let items = if items.is_empty() { Value::Null } else { items.into() };
    Json(json!({"metadata": {"resourceVersion": inner.version.to_string()}, "items": items})).into_response()
}

fn watch(server: &ApiServer, target: &Target, query: &HashMap<String, String>) -> Response {
    let since: u64 = query["resourceVersion"].parse().expect("it is ours");
    let inner = server.lock();
    if since != 0 && since < inner.compacted {
        return status(410, "too old");
    }
    let start = (server.clone(), since, inner.restarts, server.ticks.subscribe());
    let (collection, namespace) = (target.collection.clone(), target.namespace.clone());
    let query = query.clone();
    let lines = stream::unfold(start, move |(server, since, restarts, mut ticks)| {
        let (collection, namespace, query) = (collection.clone(), namespace.clone(), query.clone());
        async move {
            loop {
                ticks.mark_unchanged();
                let next = {
                    let inner = server.lock();
                    if inner.restarts != restarts {
                        return None;
                    }
                    let is_wanted = |(version, of, event): &&(u64, String, Value)| {
                        let lives_in = event["object"]["metadata"]["namespace"].as_str();
                        *version > since
                            && *of == collection
                            && is_selected(&event["object"], &query)
                            && (namespace.is_none() || namespace.as_deref() == lives_in)
                    };
                    inner.history.iter().find(is_wanted).map(|(version, _, event)| (*version, format!("{event}\n")))
                };
                if let Some((version, line)) = next {
                    return Some((Ok::<_, Infallible>(line), (server, version, restarts, ticks)));
                }
                ticks.changed().await.ok()?;
            }
        }
    });
    Body::from_stream(lines).into_response()
}

fn patch(server: &ApiServer, target: &Target, patch: &Value) -> Response {
    let object = {
        let inner = server.lock();
        inner.objects.get(&target.collection).and_then(|objects| objects.get(&key(target))).cloned()
    };
    let Some(mut object) = object else { return status(404, "not found") };
    let version = &patch["metadata"]["resourceVersion"];
    if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
        return status(409, "the object has been modified");
    }
    match target.subresource {
        true => json_patch::merge(&mut object, &json!({"status": patch["status"]})),
        false => json_patch::merge(&mut object, patch),
    }
    server.put(object.clone());
    Json(server.get(&object)).into_response()
}
