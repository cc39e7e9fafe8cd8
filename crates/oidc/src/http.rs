//! The HTTP port: our own pages for routes that lead here, back-channel logout with its body, and checks by HTTP for those who
//! cannot ask by gRPC. The only file that names axum.
//!
//! A check by HTTP has the path `/check/PROFILE` before the request's own path: Envoy's `path_prefix`. The answer 200 lets the
//! request pass; its headers are those for the server behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::any;
use kit::incoming::Peer;

use crate::ask::Ask;
use crate::pages;
use crate::service::Service;
use crate::verdict::{Answer, Pass, Verdict};

/// The most of a body that is read.
const MOST_BODY: usize = 64 << 10;

/// What is served on the HTTP port.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new().fallback(any(serve)).with_state(service)
}

async fn serve(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let authority = parts.uri.authority().map(ToString::to_string);
    let host = authority.or_else(|| Some(parts.headers.get("host")?.to_str().ok()?.to_owned())).unwrap_or_default();
    let Ok(body) = to_bytes(body, MOST_BODY).await else {
        return respond(pages::json(413, "too_large", "the body is too large", ""));
    };
    let mut ask = Ask {
        method: parts.method.to_string(),
        host: host.to_ascii_lowercase(),
        target,
        headers: joined(&parts.headers),
        body: body.to_vec(),
        client: peer.address.map(|address| address.ip().to_string()).unwrap_or_default(),
        ..Ask::default()
    };
    if let Some((profile, target)) = checked(&ask.target) {
        ask.target = target;
        ask.context.insert("profile".to_owned(), profile);
        return match service.check(&ask).await {
            Verdict::Pass(pass) => passed(*pass),
            Verdict::Answer(answer) => respond(*answer),
        };
    }
    respond(service.page(&ask).await)
}

/// The profile and target of a check.
fn checked(target: &str) -> Option<(String, String)> {
    let rest = target.strip_prefix("/check/")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (profile, target) = rest.split_at(end);
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Some((profile.to_owned(), target))
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let separator = if name == "cookie" { "; " } else { "," };
        joined.insert(name.as_str().to_owned(), values.join(separator));
    }
    joined
}

fn passed(pass: Pass) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in pass.set {
        append(headers, &name, &value);
    }
    for cookie in &pass.cookies {
        append(headers, "set-cookie", cookie);
    }
    if !pass.cookies.is_empty() {
        append(headers, "cache-control", "no-store");
    }
    if !pass.remove.is_empty() {
        // Envoy takes these from the request.
        append(headers, "x-envoy-auth-headers-to-remove", &pass.remove.join(","));
    }
    response
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        append(response.headers_mut(), name, value);
    }
    response
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
        headers.append(name, value);
    }
}
