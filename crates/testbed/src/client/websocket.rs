//! A WebSocket client.

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::connect::{Stream, Target, open};
use crate::PATIENCE;

/// An open WebSocket.
pub struct WebSocket {
    stream: WebSocketStream<Box<dyn Stream>>,
}

/// Opens a WebSocket: `url` is `ws://host/path`, `headers` go with the handshake. A refused handshake is an error with its status.
pub async fn websocket(target: impl Into<Target>, url: &str, headers: &[(&str, &str)]) -> Result<WebSocket> {
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
    }
    let target = target.into();
    let handshake = async {
        let (stream, _) = tokio_tungstenite::client_async(request, open(&target).await?).await?;
        Ok(WebSocket { stream })
    };
    tokio::time::timeout(PATIENCE, handshake).await.context("no answer to the handshake")?
}

impl WebSocket {
    /// Sends a text and waits for the next one from the other side.
    pub async fn exchange(&mut self, text: &str) -> Result<String> {
        self.send(text).await?;
        self.receive().await
    }

    /// Sends a text.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.stream.send(Message::text(text)).await?)
    }

    /// Waits for the next text from the other side.
    pub async fn receive(&mut self) -> Result<String> {
        let received = async {
            while let Some(message) = self.stream.next().await {
                match message? {
                    Message::Text(text) => return Ok(text.to_string()),
                    Message::Close(_) => break,
                    _ => {}
                }
            }
            bail!("the WebSocket was closed without an answer")
        };
        tokio::time::timeout(PATIENCE, received).await.context("no answer")?
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebSocket")
    }
}
