//! What an HTTP backend saw, as JSON in the shape of the Gateway API's echo server.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Version, header};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

/// One request as it arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echoed {
    /// Path and query.
    pub path: String,
    /// The `Host` header or the `:authority`.
    pub host: String,
    /// The method.
    pub method: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub proto: String,
    /// Every header except the host, by canonical name (`X-Request-Id`), values in order of arrival.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The backend's namespace, as it was told.
    pub namespace: String,
    /// Always empty; the field is part of the shape.
    pub ingress: String,
    /// The backend's service, as it was told.
    pub service: String,
    /// The backend's name, as it was told.
    pub pod: String,
    /// The body as text, left out when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The TLS session, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<EchoedTls>,
}

/// The TLS session a request came by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EchoedTls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The name that the client said, or empty.
    pub server_name: String,
    /// What ALPN agreed on, or empty.
    pub negotiated_protocol: String,
    /// The name of the cipher suite.
    pub cipher_suite: String,
    /// The client's certificates (PEM), its own first.
    pub peer_certificates: Vec<String>,
}

impl Echoed {
    /// The first value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&canonical(name))?.first().map(String::as_str)
    }

    /// All values of a header, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get(&canonical(name)).into_iter().flatten().map(String::as_str).collect()
    }

    pub(super) fn of(parts: &Parts) -> Self {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let authority = parts.uri.authority().map(ToString::to_string);
        Self {
            path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            host: host.or(authority).unwrap_or_default(),
            method: parts.method.to_string(),
            proto: if parts.version == Version::HTTP_2 { "HTTP/2.0" } else { "HTTP/1.1" }.to_owned(),
            headers: by_canonical_name(&parts.headers),
            ..Self::default()
        }
    }
}

impl EchoedTls {
    pub(super) fn of(session: &rustls::ServerConnection) -> Self {
        let version = session.protocol_version().and_then(|version| version.as_str().map(str::to_owned));
        Self {
            version: version.unwrap_or_default().replace('_', "."),
            server_name: session.server_name().unwrap_or_default().to_owned(),
            negotiated_protocol: String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned(),
            cipher_suite: session
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            peer_certificates: session.peer_certificates().into_iter().flatten().map(pem).collect(),
        }
    }
}

fn by_canonical_name(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::HOST) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        named.entry(canonical(name.as_str())).or_default().push(value);
    }
    named
}

/// `x-request-id` as `X-Request-Id`: the form that HTTP/1.1 is mostly written in.
fn canonical(name: &str) -> String {
    let mut start = true;
    let cased = name.chars().map(|letter| {
        let cased = if start { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        start = letter == '-';
        cased
    });
    cased.collect()
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let encoded = BASE64_STANDARD.encode(certificate);
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
