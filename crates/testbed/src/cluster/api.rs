//! The API server over plain HTTPS: the few calls that the test bed itself needs.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::{Connection, Request, Response};
use crate::pki::Identity;

/// A cluster's API, as an administrator.
#[derive(Debug, Clone)]
pub struct Api {
    server: String,
    ca: String,
    identity: Identity,
}

impl Api {
    pub(super) fn new(node: Ipv4Addr, ca: &str, identity: &Identity) -> Self {
        Self { server: format!("https://{node}:6443"), ca: ca.to_owned(), identity: identity.clone() }
    }

    /// The object or list at a path, such as `/api/v1/namespaces/default`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(&self.request(Method::GET, path)).await
    }

    /// Changes the object at a path by a JSON merge patch.
    pub async fn merge_patch(&self, path: &str, patch: &Value) -> Result<Value> {
        let request = self.request(Method::PATCH, path).header("content-type", "application/merge-patch+json");
        self.send(&request.body(patch.to_string())).await
    }

    /// Whether the API server says that it is ready.
    pub(super) async fn ready(&self) -> bool {
        matches!(self.request(Method::GET, "/readyz").send().await, Ok(answer) if answer.status == 200)
    }

    /// Opens a connection for many calls.
    pub async fn connect(&self) -> Result<Calls> {
        let connection = Connection::open(&self.request(Method::GET, "/")).await?;
        Ok(Calls { api: self.clone(), connection })
    }

    /// The changes at a path from a resource version on.
    pub async fn watch(&self, path: &str, from: &str) -> Result<Watch> {
        let request = self.request(Method::GET, &format!("{path}?watch=1&resourceVersion={from}"));
        let mut connection = Connection::open(&request).await?;
        let answer = connection.exchange(&request).await?;
        if !answer.status().is_success() {
            bail!("watching {path}: {}", answer.status());
        }
        Ok(Watch { _connection: connection, body: answer.into_body(), unread: BytesMut::new() })
    }

    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, &format!("{}{path}", self.server)).ca(&self.ca).identity(&self.identity)
    }

    async fn send(&self, request: &Request) -> Result<Value> {
        successful(request.send().await?)?.json()
    }
}

fn successful(answer: Response) -> Result<Response> {
    if !answer.status.is_success() {
        bail!("the API server answers {}: {}", answer.status, answer.text().trim());
    }
    Ok(answer)
}

/// One connection to the API server, for many calls, one after the other.
#[derive(Debug)]
pub struct Calls {
    api: Api,
    connection: Connection,
}

impl Calls {
    /// What stands at a path, as text.
    pub async fn text(&mut self, path: &str) -> Result<String> {
        Ok(self.send(Method::GET, path, None).await?.text())
    }

    /// Makes an object at the path of its kind.
    pub async fn create(&mut self, path: &str, object: &Value) -> Result<()> {
        self.send(Method::POST, path, Some(("application/json", object))).await.map(drop)
    }

    /// Changes the object at a path by a JSON merge patch.
    pub async fn merge_patch(&mut self, path: &str, patch: &Value) -> Result<()> {
        self.send(Method::PATCH, path, Some(("application/merge-patch+json", patch))).await.map(drop)
    }

    /// Deletes the object at a path.
    pub async fn delete(&mut self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Result<Response> {
        let request = self.api.request(method, path);
        let request = match body {
            Some((kind, body)) => request.header("content-type", kind).body(body.to_string()),
            None => request,
        };
        successful(self.connection.send(&request).await?).with_context(|| path.to_owned())
    }
}

/// A stream of changes, one JSON object a line.
#[derive(Debug)]
pub struct Watch {
    _connection: Connection,
    body: Incoming,
    unread: BytesMut,
}

impl Watch {
    /// The next change; nothing when the server has ended the stream, as it does every few minutes.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line = self.unread.split_to(end);
                self.unread.advance(1);
                return Ok(Some(serde_json::from_slice(&line).context("a change that is no JSON")?));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            self.unread.extend_from_slice(&frame?.into_data().unwrap_or_default());
        }
    }
}
