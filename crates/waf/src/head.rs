//! The head of a request or response, as Envoy sends it: pseudo headers among the others.

use envoy::core::{HeaderMap, HeaderValue};

/// A head. It keeps Envoy's own message, so that nothing is copied.
#[derive(Debug, Clone, Default)]
pub struct Head(Vec<HeaderValue>);

impl From<HeaderMap> for Head {
    fn from(map: HeaderMap) -> Self {
        Self(map.headers)
    }
}

impl Head {
    /// A head of names and values, for tools.
    pub fn of<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let field = |(name, value): (&str, &[u8])| HeaderValue {
            key: name.to_ascii_lowercase(),
            raw_value: value.to_vec(),
            ..HeaderValue::default()
        };
        Self(fields.into_iter().map(field).collect())
    }

    /// The first value of that name, in small letters.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All values of that name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.key == name).map(value)
    }

    /// All values of that name, as one list.
    pub fn list(&self, name: &str) -> Vec<u8> {
        self.all(name).collect::<Vec<_>>().join(&b","[..])
    }

    /// The value as text, replaced where it is none.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.get(name).unwrap_or_default()).into_owned()
    }

    /// The fields that go over the wire by name. HTTP/2 says `:authority` where rules look for `host`.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let authority = self.get(":authority").filter(|_| self.get("host").is_none());
        let host = authority.map(|host| (b"host".as_slice(), host));
        host.into_iter().chain(
            self.0.iter().filter(|field| !field.key.starts_with(':')).map(|field| (field.key.as_bytes(), value(field))),
        )
    }

    /// The status of a response; 0 when it is none.
    pub fn status(&self) -> u16 {
        self.text(":status").parse().unwrap_or(0)
    }

    /// The host without its port.
    pub fn host(&self) -> &[u8] {
        let host = self.get(":authority").or_else(|| self.get("host")).unwrap_or_default();
        match host.iter().rposition(|byte| *byte == b':') {
            Some(colon) if !host[colon..].contains(&b']') => &host[..colon],
            _ => host,
        }
    }

    /// How many bytes its names and values are.
    pub fn size(&self) -> u64 {
        self.0.iter().map(|field| (field.key.len() + value(field).len()) as u64).sum()
    }

    /// The length that is announced for the body.
    pub fn content_length(&self) -> Option<u64> {
        std::str::from_utf8(self.get("content-length")?).ok()?.trim().parse().ok()
    }

    /// With what Envoy keeps to itself: over HTTP/1.1 a body whose length is not announced comes in chunks (RFC 9112, 6.3), and
    /// rules score requests that say neither.
    #[must_use]
    pub fn with_framing(mut self, protocol: &str, has_body: bool) -> Self {
        let says = ["content-length", "transfer-encoding", "upgrade"].into_iter().any(|name| self.get(name).is_some());
        if protocol == "HTTP/1.1" && has_body && !says && !self.is_tunnel() {
            let (key, value) = ("transfer-encoding".to_owned(), "chunked".to_owned());
            self.0.push(HeaderValue { key, value, ..HeaderValue::default() });
        }
        self
    }

    /// Whether the body is a stream of its own kind, that does not end or means nothing as a whole: gRPC, WebSocket, events.
    pub fn is_stream(&self) -> bool {
        let kind = self.text("content-type").to_ascii_lowercase();
        kind.starts_with("application/grpc")
            || kind.starts_with("text/event-stream")
            || self.is_tunnel()
            // A server may say in any response which protocols it would rather speak.
            || (self.status() == 0 && self.get("upgrade").is_some())
            || self.status() == 101
    }

    /// Whether it asks for a tunnel.
    pub fn is_tunnel(&self) -> bool {
        self.get(":method") == Some(b"CONNECT")
    }

    /// Whether it asks for another protocol and announces a body nevertheless: an application that stays with HTTP would read
    /// it.
    pub fn upgrades_with_body(&self) -> bool {
        let announced = self.get("content-length").is_some_and(|length| length != b"0");
        self.get("upgrade").is_some() && (announced || self.get("transfer-encoding").is_some())
    }
}

fn value(field: &HeaderValue) -> &[u8] {
    if field.raw_value.is_empty() { field.value.as_bytes() } else { &field.raw_value }
}
