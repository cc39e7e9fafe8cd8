//! An API server that answers as a test wants it. Only for what a real one cannot be made to do on demand: to be overloaded
//! (429 with `Retry-After`) or to fail (503) for one kind and not for the others. It has no objects but those that it is given
//! at first, and no watch of it ever tells anything. All else is tested on real ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{Method, StatusCode, Uri, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use futures::stream;
use kube::Config;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// The API server.
pub(crate) struct Double {
    inner: Arc<Mutex<Inner>>,
    config: Config,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Inner {
    /// Objects by the last word of their collection's path.
    objects: BTreeMap<String, Vec<Value>>,
    /// The answers for requests of a method whose path ends so: status, and seconds to wait.
    refused: HashMap<(Method, String), (u16, Option<u64>)>,
    /// What was asked for, and when.
    asked: Vec<(Method, String, Instant)>,
}

type Shared = State<Arc<Mutex<Inner>>>;

impl Double {
    pub(crate) async fn start(objects: &[(&str, Value)]) -> Self {
        let inner: Arc<Mutex<Inner>> = Arc::default();
        for (plural, object) in objects {
            lock(&inner).objects.entry((*plural).to_owned()).or_default().push(object.clone());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let config = Config::new(format!("http://{address}").parse().expect("it is a URL"));
        Self { inner, config, _task: task }
    }

    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Refuses requests of a method whose path ends so.
    pub(crate) fn refuse(&self, method: Method, path: &str, status: u16, seconds: Option<u64>) {
        lock(&self.inner).refused.insert((method, path.to_owned()), (status, seconds));
    }

    /// Answers all requests again, and forgets what was asked for until then.
    pub(crate) fn relent(&self) {
        let mut inner = lock(&self.inner);
        inner.refused.clear();
        inner.asked.clear();
    }

    /// When requests of a method came whose path ends so.
    pub(crate) fn asked(&self, method: &Method, path: &str) -> Vec<Instant> {
        let inner = lock(&self.inner);
        let fits = inner.asked.iter().filter(|(of, whole, _)| of == method && whole.ends_with(path));
        fits.map(|(_, _, at)| *at).collect()
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().expect("no test panics with it")
}

async fn answer(
    State(inner): Shared,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let mut inner = lock(&inner);
    let path = uri.path();
    inner.asked.push((method.clone(), path.to_owned(), Instant::now()));
    let refused = inner.refused.iter().find(|((of, end), _)| *of == method && path.ends_with(end.as_str()));
    if let Some((_, (status, seconds))) = refused {
        return refusal(*status, *seconds);
    }
    let plural = path.rsplit('/').next().unwrap_or_default();
    match method {
        Method::GET if query.contains_key("watch") => {
            Body::from_stream(stream::pending::<std::io::Result<Bytes>>()).into_response()
        }
        Method::GET => {
            let items = inner.objects.get(plural).cloned().unwrap_or_default();
            Json(json!({"metadata": {"resourceVersion": "1"}, "items": items})).into_response()
        }
        // What is written is what there is then, and nobody asks.
        _ => Json(serde_json::from_slice::<Value>(&body).unwrap_or_default()).into_response(),
    }
}

/// As the API server does it whose queues are full: no `Status`, only text and a header.
fn refusal(status: u16, seconds: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).expect("it is a status");
    let mut answer = (status, "too many requests, please try again later").into_response();
    if let Some(seconds) = seconds {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}
