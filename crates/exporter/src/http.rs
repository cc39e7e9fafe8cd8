//! The HTTP side: what the admin port has beside the pages of all services. The only file that names axum.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _};

use crate::ingest::now;
use crate::live::{Detail, Live};
use crate::top::Lists;
use crate::traffic::Traffic;

/// How many may look at the live page at once.
const MOST_WATCHERS: usize = 64;
/// The page needs nothing from elsewhere, and may not be shown inside of another.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the pages are made of.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) live: Live,
    pub(crate) events: broadcast::Sender<String>,
}

/// What is added to the admin port.
pub(crate) fn admin(pages: Pages) -> Router {
    let page = |content_type: &'static str, text: &'static str| get(move || async move { asset(content_type, text) });
    Router::new()
        .route("/", page("text/html; charset=utf-8", include_str!("page/page.html")))
        .route("/live/page.css", page("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/live/page.js", page("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .route("/live/stream", get(stream))
        .route("/live/routes/{id}", get(route))
        .route("/top", get(top))
        .with_state(pages)
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

async fn top(State(pages): State<Pages>) -> Json<Lists> {
    Json(pages.traffic.top(now()))
}

async fn route(State(pages): State<Pages>, Path(id): Path<usize>) -> Result<Json<Detail>, StatusCode> {
    pages.live.detail(&pages.traffic, id).map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Events of the browser's kind: `state` each second, `refused` as it happens.
async fn stream(State(pages): State<Pages>) -> Response {
    if pages.live.states.receiver_count() >= MOST_WATCHERS {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many look at this page\n").into_response();
    }
    Sse::new(events(&pages)).keep_alive(KeepAlive::default()).into_response()
}

fn events(pages: &Pages) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let states = WatchStream::new(pages.live.states.subscribe());
    let states = states.filter_map(|state| Some(Ok(Event::default().event("state").data(state?))));
    // Lines that a slow reader has missed are gone: it is shown what happens now.
    let refused = BroadcastStream::new(pages.events.subscribe()).filter_map(Result::ok);
    states.merge(refused.map(|line| Ok(Event::default().event("refused").data(line))))
}
