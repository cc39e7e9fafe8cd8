//! The backend that the tests are written for: it answers 200, and below `/reflect` what it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
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
    let reply = Reply::to(uri.path(), &body);
    let mut response = reply.body.into_response();
    *response.status_mut() = reply.status;
    response.headers_mut().clear();
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The answer to a request.
    pub(crate) fn to(path: &str, body: &[u8]) -> Self {
        let mut headers = BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]);
        if path != "/reflect" {
            return Self { status: StatusCode::OK, headers, body: b"fine".to_vec() };
        }
        let wanted: Wanted = serde_json::from_slice(body).unwrap_or_default();
        headers.extend(wanted.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)));
        let body = if wanted.encoded_body.is_empty() {
            wanted.body.into_bytes()
        } else {
            BASE64_STANDARD.decode(&wanted.encoded_body).unwrap_or_default()
        };
        let status = wanted.status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
        Self { status, headers, body }
    }
}
