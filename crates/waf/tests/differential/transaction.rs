//! Transactions: what a request and its response are, whoever looks at them.

use ::envoy::core::{HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use waf::head::Head;

use crate::backend::Reply;

/// The longest body that the profiles read.
const LIMIT: u64 = 13_107_200;

/// A request and its response.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    pub(crate) profile: &'static str,
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) protocol: String,
    /// Names in small letters, as Envoy has them; the host comes first.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) response: Response,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Transaction {
    /// A request as it goes over the wire, with the answer of the backend; `None` when there is no request line.
    pub(crate) fn read(raw: &[u8]) -> Option<Self> {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = end.map_or((raw, &b""[..]), |end| (&raw[..end], &raw[end + 4..]));
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut words = lines.next()?.split(|byte| *byte == b' ');
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (method, target, protocol) = (text(words.next()?), words.next()?.to_vec(), text(words.next()?));
        let mut headers = Vec::new();
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = text(&line[..colon]).to_ascii_lowercase();
            let at = if name == "host" { 0 } else { headers.len() };
            headers.insert(at, (name, line[colon + 1..].trim_ascii().to_vec()));
        }
        let path = text(&target);
        let reply = Reply::to(path.split('?').next().unwrap_or_default(), body);
        let response = Response {
            status: reply.status.as_u16(),
            headers: reply.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            body: reply.body,
        };
        let (id, profile) = (String::new(), "");
        Some(Self { id, profile, method, target, protocol, headers, body: body.to_vec(), response })
    }

    /// The same under a name, for a profile, without what the firewall does beside the engine: it refuses upgrades with a body,
    /// looks at no streams, unpacks what is packed, and believes in lengths that are announced.
    pub(crate) fn named(mut self, id: String, profile: &'static str) -> Self {
        self.headers.retain(|(name, _)| !["x-request-id", "upgrade", "content-encoding"].contains(&name.as_str()));
        if self.head().content_length().is_some_and(|length| length > LIMIT) {
            self.headers.retain(|(name, _)| name != "content-length");
        }
        self.headers.push(("x-request-id".to_owned(), id.clone().into_bytes()));
        if self.head().is_stream() {
            self.body.clear();
        }
        Self { id, profile, ..self }
    }

    /// The head as Envoy shows it.
    pub(crate) fn shown(&self) -> HeaderMap {
        let mut fields = vec![field(":method", self.method.as_bytes()), field(":path", &self.target)];
        fields.extend(self.headers.iter().enumerate().map(|(index, (name, value))| match (index, name.as_str()) {
            (0, "host") => field(":authority", value),
            (_, name) => field(name, value),
        }));
        HeaderMap { headers: fields }
    }

    fn head(&self) -> Head {
        Head::from(self.shown())
    }

    /// A line for `plain judge`.
    pub(crate) fn line(&self) -> Value {
        let bytes = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let pair = |(name, value): (&[u8], &[u8])| [bytes(name), bytes(value)];
        // As the client sent it: Envoy keeps to itself that a body comes in chunks.
        let head = self.head().with_framing(&self.protocol, !self.body.is_empty());
        let response = &self.response;
        json!({
            "id": self.id,
            "profile": self.profile,
            "method": self.method,
            "target": bytes(&self.target),
            "protocol": self.protocol,
            "host": bytes(head.host()),
            "headers": head.fields().map(pair).collect::<Vec<_>>(),
            "body": bytes(&self.body),
            "response": {
                "status": response.status,
                "headers": response.headers.iter().map(|(name, value)| pair((name.as_bytes(), value))).collect::<Vec<_>>(),
                "body": bytes(&response.body),
            },
        })
    }
}

impl Response {
    /// The head as Envoy shows it.
    pub(crate) fn shown(&self) -> HeaderMap {
        let status = field(":status", self.status.to_string().as_bytes());
        let fields = self.headers.iter().map(|(name, value)| field(name, value));
        HeaderMap { headers: std::iter::once(status).chain(fields).collect() }
    }
}

fn field(name: &str, value: &[u8]) -> HeaderValue {
    HeaderValue { key: name.to_owned(), raw_value: value.to_vec(), ..HeaderValue::default() }
}
