//! Connections: where to, with or without TLS, HTTP/1.1 or HTTP/2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::http::{Protocol, Request, Response};
use crate::pki::{self, Identity};

/// Where a request goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// A TCP (or UDP) address.
    Address(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// A byte stream of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What a TLS client says and trusts.
#[derive(Debug, Clone)]
pub(super) struct TlsSpec {
    pub(super) sni: String,
    pub(super) ca: String,
    pub(super) identity: Option<Identity>,
    pub(super) alpn: Vec<Vec<u8>>,
}

/// Opens a stream without TLS.
pub(super) async fn open(target: &Target) -> Result<Box<dyn Stream>> {
    match target {
        Target::Address(address) => {
            let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Target::Unix(path) => Ok(Box::new(
            UnixStream::connect(path).await.with_context(|| format!("cannot connect to {}", path.display()))?,
        )),
    }
}

/// A TLS session, what was agreed on by ALPN, and the server's certificate.
pub(super) struct TlsSession {
    pub(super) stream: tokio_rustls::client::TlsStream<Box<dyn Stream>>,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) peer: Option<CertificateDer<'static>>,
}

impl TlsSpec {
    pub(super) fn config(&self) -> Result<rustls::ClientConfig> {
        let builder = rustls::ClientConfig::builder_with_provider(pki::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(pki::roots(&self.ca)?);
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain()?, identity.private_key()?)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }
}

/// Opens a stream and does the TLS handshake.
pub(super) async fn open_tls(target: &Target, spec: &TlsSpec) -> Result<TlsSession> {
    let name = ServerName::try_from(spec.sni.clone()).with_context(|| format!("{} is no server name", spec.sni))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(spec.config()?));
    let stream = connector.connect(name, open(target).await?).await.context("TLS handshake failed")?;
    let session = stream.get_ref().1;
    let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
    let peer = session.peer_certificates().and_then(|chain| chain.first()).cloned().map(CertificateDer::into_owned);
    Ok(TlsSession { stream, alpn, peer })
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An open HTTP connection, for tests that send several requests over one. The TLS part and the target of the request
/// that opened it count; those of later requests do not.
pub struct Connection {
    sender: Sender,
    peer: Option<CertificateDer<'static>>,
}

impl Connection {
    /// Opens the connection that a request needs, without sending the request.
    pub async fn open(request: &Request) -> Result<Self> {
        let target = request.target().await?;
        if let Some(tls) = request.tls_spec()? {
            let session = open_tls(&target, &tls).await?;
            let http2 = session.alpn.as_deref() == Some(b"h2");
            if request.protocol == Protocol::Http2 && !http2 {
                bail!("the server did not agree to HTTP/2");
            }
            return Self::start(session.stream, http2, session.peer).await;
        }
        Self::start(open(&target).await?, request.protocol == Protocol::Http2, None).await
    }

    async fn start(stream: impl Stream + 'static, http2: bool, peer: Option<CertificateDer<'static>>) -> Result<Self> {
        let io = TokioIo::new(stream);
        let sender = if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection.with_upgrades());
            Sender::Http1(sender)
        };
        Ok(Self { sender, peer })
    }

    /// Whether the other side has closed it.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Sends one request and reads the whole answer, trailers too.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        let exchange = async {
            let answer = self.exchange(request).await?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.context("the answer was cut short")?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            let peer_certificate = self.peer.clone();
            Ok(Response {
                status: parts.status,
                version: parts.version,
                headers: parts.headers,
                body: body.to_bytes(),
                trailers,
                peer_certificate,
            })
        };
        tokio::time::timeout(request.deadline, exchange)
            .await
            .with_context(|| format!("no answer for {}", request.uri))?
    }

    /// Sends one request and gives the answer as soon as its head is there, with a body that streams.
    pub async fn exchange(&mut self, request: &Request) -> Result<::http::Response<Incoming>> {
        let context = || format!("{} {}", request.method, request.uri);
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request.for_http1()?).await.with_context(context)
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request.for_http2()?).await.with_context(context)
            }
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.sender {
            Sender::Http1(_) => "Connection(HTTP/1.1)",
            Sender::Http2(_) => "Connection(HTTP/2)",
        })
    }
}
