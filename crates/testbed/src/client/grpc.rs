//! A unary gRPC call of raw bytes, for tests that look at paths, headers and status and not at messages.

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};

use super::connect::Target;
use super::http::Request;
use crate::echo::Echoed;
use crate::pki::Identity;

/// A call to be made.
#[derive(Debug, Clone)]
pub struct GrpcRequest {
    request: Request,
}

impl GrpcRequest {
    /// A call of `https?://host/package.Service/Method`.
    pub fn new(url: &str) -> Self {
        let request =
            Request::new(Method::POST, url).http2().header("content-type", "application/grpc").header("te", "trailers");
        Self { request }.message(&[])
    }

    /// Where it goes.
    #[must_use]
    pub fn to(self, target: impl Into<Target>) -> Self {
        Self { request: self.request.to(target) }
    }

    /// Adds metadata.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value) }
    }

    /// The message, already encoded; empty otherwise.
    #[must_use]
    pub fn message(self, message: &[u8]) -> Self {
        Self { request: self.request.body(frame(message)) }
    }

    /// Trusts these authorities (PEM).
    #[must_use]
    pub fn ca(self, pem: impl Into<String>) -> Self {
        Self { request: self.request.ca(pem) }
    }

    /// Shows this client certificate.
    #[must_use]
    pub fn identity(self, identity: &Identity) -> Self {
        Self { request: self.request.identity(identity) }
    }

    /// Makes the call. Any gRPC status is an answer; an error means that there was none.
    pub async fn send(&self) -> Result<GrpcResponse> {
        let answer = self.request.send().await?;
        // An answer without a message has the status among its headers ("trailers only").
        let ending = if answer.trailers.contains_key("grpc-status") { &answer.trailers } else { &answer.headers };
        let text = |name: &str| ending.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let code = text("grpc-status").and_then(|code| code.parse().ok());
        let error = text("grpc-message").unwrap_or_default();
        let message = answer.body.get(PREFIX..).map(Bytes::copy_from_slice).unwrap_or_default();
        Ok(GrpcResponse {
            code,
            error,
            http_status: answer.status,
            headers: answer.headers,
            trailers: answer.trailers,
            message,
        })
    }
}

/// The bytes before a message: whether it is compressed, and its length.
pub(crate) const PREFIX: usize = 5;

/// A message behind its prefix, not compressed.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + PREFIX);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("test messages are small"));
    framed.put_slice(message);
    framed.freeze()
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct GrpcResponse {
    /// The gRPC status code (0 is OK); none if the answer was not gRPC.
    pub code: Option<u32>,
    /// The `grpc-message` that goes with an error, still percent-encoded.
    pub error: String,
    /// The HTTP status below it.
    pub http_status: StatusCode,
    /// Leading metadata.
    pub headers: HeaderMap,
    /// Trailing metadata.
    pub trailers: HeaderMap,
    /// The message, without its prefix.
    pub message: Bytes,
}

impl GrpcResponse {
    /// What the echo backend saw of the call.
    pub fn echoed(&self) -> Result<Echoed> {
        serde_json::from_slice(&self.message).with_context(|| format!("gRPC status {:?} {}", self.code, self.error))
    }
}
