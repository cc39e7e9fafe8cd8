//! The backend that the tests are written for: it answers 200, and below `/reflect` what it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wanted {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: String,
    encoded_body: String,
}

/// Starts it; it ends with the process.
pub(crate) async fn start() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

async fn answer(uri: Uri, body: Bytes) -> Response {
    if uri.path() != "/reflect" {
        return ([(header::CONTENT_TYPE, "text/plain")], "fine").into_response();
    }
    let wanted: Wanted = serde_json::from_slice(&body).unwrap_or_default();
    let content = if wanted.encoded_body.is_empty() {
        wanted.body.into_bytes()
    } else {
        BASE64_STANDARD.decode(&wanted.encoded_body).unwrap_or_default()
    };
    let mut response = ([(header::CONTENT_TYPE, "text/plain")], content).into_response();
    *response.status_mut() = wanted.status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
    for (name, value) in &wanted.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
