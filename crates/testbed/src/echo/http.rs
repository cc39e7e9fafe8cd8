//! The answers over HTTP: JSON, gRPC, WebSocket.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::behaviour::Behaviour;
use super::{Echoed, EchoedTls, State};
use crate::client::frame;

/// Answers one request.
pub(super) async fn answer(request: hyper::Request<Incoming>, tls: Option<EchoedTls>, state: &Arc<State>) -> Response {
    let (mut parts, body) = request.into_parts();
    state.count_one();
    let behaviour = Behaviour::of(&parts, state);
    let mut seen = Echoed { tls, ..Echoed::of(&parts) };
    seen.pod.clone_from(&state.pod);
    seen.namespace.clone_from(&state.namespace);
    seen.service.clone_from(&state.service);
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.ok();
    if upgrade.is_none() {
        // A body that breaks off is shown as none; the proxy's own answer tells the rest.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        seen.body = String::from_utf8_lossy(&body).into_owned();
    }
    // The timer ticks in milliseconds: even a sleep of nothing would take up to one.
    if !behaviour.delay.is_zero() {
        tokio::time::sleep(behaviour.delay).await;
    }
    state.keep(seen.clone());
    let mut response = match upgrade {
        Some(upgrade) => websocket(upgrade, Arc::clone(state)),
        None if is_grpc(&parts.headers) => grpc(&parts, &seen),
        None => (behaviour.status, axum::Json(seen)).into_response(),
    };
    response.headers_mut().extend(behaviour.headers);
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value == "application/grpc" || value.starts_with("application/grpc+"))
}

/// One message, the JSON, and the status in the trailers, as unary calls end.
fn grpc(parts: &Parts, seen: &Echoed) -> Response {
    let status = parts.headers.get("x-echo-grpc-status").cloned().unwrap_or(HeaderValue::from_static("0"));
    let message = if status == "0" { serde_json::to_vec(seen).unwrap_or_default() } else { Vec::new() };
    let trailers = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), status)]);
    let body = Full::new(frame(&message)).with_trailers(async { Some(Ok(trailers)) });
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

fn websocket(upgrade: WebSocketUpgrade, state: Arc<State>) -> Response {
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let Message::Text(text) = message else { continue };
            if socket.send(Message::text(state.reply(&text))).await.is_err() {
                return;
            }
        }
    })
}
