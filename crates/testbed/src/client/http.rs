//! One HTTP request, said in one line, and its answer.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use http_body_util::Full;
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;

use super::connect::{Connection, Target, TlsSpec};
use crate::PATIENCE;
use crate::echo::Echoed;
use crate::pki::{self, Identity};

/// Which HTTP to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by prior knowledge without TLS, by ALPN with it.
    Http2,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) protocol: Protocol,
    pub(super) deadline: Duration,
    target: Option<Target>,
    headers: Vec<(String, String)>,
    body: Bytes,
    ca: String,
    sni: Option<String>,
    identity: Option<Identity>,
}

impl Request {
    /// A request of any method. The URL's host becomes `Host` (and the SNI of HTTPS); where it goes is said by [`Request::to`].
    pub fn new(method: Method, url: &str) -> Self {
        Self {
            method,
            uri: url.to_owned(),
            protocol: Protocol::Http1,
            deadline: PATIENCE,
            target: None,
            headers: Vec::new(),
            body: Bytes::new(),
            ca: String::new(),
            sni: None,
            identity: None,
        }
    }

    /// A GET request.
    pub fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST request with a body.
    pub fn post(url: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url).body(body)
    }

    /// Where it goes. Without this, to the host and port of the URL.
    #[must_use]
    pub fn to(mut self, target: impl Into<Target>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Adds a header (a second one of that name stands beside the first). `host` replaces the URL's.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Speaks HTTP/2 instead of HTTP/1.1.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.protocol = Protocol::Http2;
        self
    }

    /// Trusts these authorities (PEM); needed for an `https` URL.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<String>) -> Self {
        self.ca = pem.into();
        self
    }

    /// Says another server name in the TLS handshake than the URL's host.
    #[must_use]
    pub fn sni(mut self, name: &str) -> Self {
        self.sni = Some(name.to_owned());
        self
    }

    /// Shows this client certificate.
    #[must_use]
    pub fn identity(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Waits this long for the whole answer instead of [`PATIENCE`].
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends it over a connection of its own. A refused or broken connection is an error, any HTTP status is not.
    pub async fn send(&self) -> Result<Response> {
        let exchange = async { Connection::open(self).await?.send(self).await };
        tokio::time::timeout(self.deadline, exchange).await.with_context(|| format!("no answer for {}", self.uri))?
    }

    fn parsed(&self) -> Result<Uri> {
        self.uri.parse().with_context(|| format!("{} is no URL", self.uri))
    }

    pub(super) async fn target(&self) -> Result<Target> {
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let uri = self.parsed()?;
        let host = uri.host().with_context(|| format!("{} has no host", self.uri))?.trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let found = tokio::net::lookup_host((host, port)).await?.next();
        Ok(Target::Address(found.with_context(|| format!("{host} has no address"))?))
    }

    pub(super) fn tls_spec(&self) -> Result<Option<TlsSpec>> {
        let uri = self.parsed()?;
        if uri.scheme_str() != Some("https") {
            return Ok(None);
        }
        let sni =
            self.sni.clone().unwrap_or_else(|| uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned());
        let alpn = match self.protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 => b"h2".to_vec(),
        };
        Ok(Some(TlsSpec { sni, ca: self.ca.clone(), identity: self.identity.clone(), alpn: vec![alpn] }))
    }

    /// HTTP/1.1 has the path in its first line and the host in a header.
    pub(super) fn for_http1(&self) -> Result<http::Request<Full<Bytes>>> {
        let uri = self.parsed()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut request = self.build(path.parse()?)?;
        if !request.headers().contains_key(http::header::HOST) {
            let host = uri.authority().map_or("", |authority| authority.as_str());
            request.headers_mut().insert(http::header::HOST, HeaderValue::from_str(host)?);
        }
        Ok(request)
    }

    /// HTTP/2 has scheme and authority in pseudo headers; a `host` header is said as the authority.
    pub(super) fn for_http2(&self) -> Result<http::Request<Full<Bytes>>> {
        let mut request = self.build(self.parsed()?)?;
        if let Some(host) = request.headers_mut().remove(http::header::HOST) {
            let mut parts = request.uri().clone().into_parts();
            parts.authority = Some(host.to_str()?.parse()?);
            *request.uri_mut() = Uri::from_parts(parts)?;
        }
        Ok(request)
    }

    fn build(&self, uri: Uri) -> Result<http::Request<Full<Bytes>>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        for (name, value) in &self.headers {
            request.headers_mut().append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        Ok(request)
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status; compares with a number.
    pub status: StatusCode,
    /// The protocol it came by.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers, mostly empty.
    pub trailers: HeaderMap,
    /// The certificate that the server showed, if TLS was spoken.
    pub peer_certificate: Option<CertificateDer<'static>>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{} with a body that is not it: {}", self.status, self.text()))
    }

    /// What the echo backend saw of the request.
    pub fn echoed(&self) -> Result<Echoed> {
        self.json()
    }

    /// Whether the server showed the certificate of this identity.
    pub fn shown_by(&self, identity: &Identity) -> bool {
        let expected = pki::certificates(&identity.cert).unwrap_or_default();
        self.peer_certificate.is_some() && self.peer_certificate.as_ref() == expected.first()
    }
}
