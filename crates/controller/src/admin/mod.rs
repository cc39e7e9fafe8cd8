//! What the server shows of itself: a page for people, JSON for programs. Nothing here changes anything.

mod dump;
mod page;
mod view;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures::{Stream, StreamExt as _, stream};
use kit::drain::Shutdown;
use serde::Deserialize;

pub use dump::{dump, redact};
pub use view::View;

/// Nothing from elsewhere is loaded, nothing is run, and nobody may frame the page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the routes share.
#[derive(Clone)]
struct Shared {
    view: View,
    shutdown: Shutdown,
}

/// The routes of the admin page.
pub fn routes(view: View, shutdown: &Shutdown) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/style.css", get(style))
        .route("/api/resources", get(resources))
        .route("/api/problems", get(|State(shared): State<Shared>| async move { Json(shared.view.problems()) }))
        .route("/api/gateways", get(|State(shared): State<Shared>| async move { Json(shared.view.gateways()) }))
        .route("/api/envoys", get(|State(shared): State<Shared>| async move { Json(shared.view.envoys()) }))
        .route("/config_dump", get(config_dump))
        .layer(middleware::from_fn(guard))
        .with_state(Shared { view, shutdown: shutdown.clone() })
}

async fn index(State(shared): State<Shared>) -> Html<String> {
    Html(page::render(&shared.view))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourcesQuery {
    /// A kind, in any of the forms that kubectl takes; all when absent.
    kind: Option<String>,
    /// Whether every change is told too, one JSON text a line.
    #[serde(default)]
    watch: bool,
}

async fn resources(State(shared): State<Shared>, Query(query): Query<ResourcesQuery>) -> Response {
    if let Some(kind) = query.kind.as_deref().filter(|kind| view::kind(kind).is_none()) {
        return (StatusCode::NOT_FOUND, format!("{kind} is not a kind with a status\n")).into_response();
    }
    if !query.watch {
        return Json(shared.view.resources(query.kind.as_deref())).into_response();
    }
    let stopping = shared.shutdown.clone();
    let lines = lines(shared.view, query.kind).take_until(async move { stopping.stopping().await });
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// The resources now and after each change.
fn lines(view: View, kind: Option<String>) -> impl Stream<Item = Bytes> {
    stream::unfold((view, kind, true), |(mut view, kind, first)| async move {
        if !first && !view.changed().await {
            return None;
        }
        let line = format!("{}\n", view.resources(kind.as_deref()));
        Some((Bytes::from(line), (view, kind, false)))
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DumpQuery {
    /// The fleet: `namespace/name` of the Gateway, or the name of the class where gateways are merged.
    gateway: Option<String>,
}

async fn config_dump(State(shared): State<Shared>, Query(query): Query<DumpQuery>) -> Response {
    let output = shared.view.output.borrow().clone();
    let all = tokio::task::spawn_blocking(move || dump(output.as_deref(), query.gateway.as_deref())).await;
    match all {
        Ok(all) => Json(all).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A page of another site may send a browser here under a name of its own (DNS rebinding): such names are refused.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    if !is_own_name(host) {
        return (StatusCode::MISDIRECTED_REQUEST, "ask by address or as localhost\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An address, or `localhost`.
fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_refused() {
        for own in ["localhost", "localhost:19000", "127.0.0.1:19000", "[::1]:19000", "[::1]"] {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in ["evil.example", "evil.example:19000", "127.0.0.1.evil.example:1", ""] {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }
}
