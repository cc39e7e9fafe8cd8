//! Calls of one gRPC method, as Envoy makes them: over one connection that stays, and each in one write. (tonic's client ends a
//! stream by a frame of its own, which often takes a write of its own: the server is woken twice for one call.)

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;

use crate::client::{PREFIX, frame};

/// One connection to a server on a Unix socket, opened by the first call.
#[derive(Debug)]
pub struct Unary {
    socket: Arc<Path>,
    method: Uri,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Unary {
    /// Calls of `/package.Service/Method`.
    pub fn new(socket: &Path, method: &str) -> Result<Self> {
        let method = Uri::builder().scheme("http").authority("service").path_and_query(method).build()?;
        Ok(Self { socket: socket.into(), method, sender: None })
    }

    /// Calls with an encoded message, and gives the one that answers it. Any other status than OK is an error.
    pub async fn call(&mut self, message: &[u8]) -> Result<Bytes> {
        let request = Request::post(self.method.clone())
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(Full::new(frame(message)))?;
        let answer = self.sender().await?.send_request(request).await?;
        ok(answer.headers())?;
        let body = answer.into_body().collect().await?;
        ok(body.trailers().context("an answer without trailers")?)?;
        let framed = body.to_bytes();
        ensure!(framed.len() >= PREFIX, "an answer without a message");
        Ok(framed.slice(PREFIX..))
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        if self.sender.is_none() {
            let stream = UnixStream::connect(&self.socket).await?;
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().context("it was opened")
    }
}

fn ok(headers: &HeaderMap) -> Result<()> {
    let status = headers.get("grpc-status");
    ensure!(status.is_none_or(|status| status == "0"), "status {status:?}: {:?}", headers.get("grpc-message"));
    Ok(())
}
