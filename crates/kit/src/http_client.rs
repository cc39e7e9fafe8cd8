//! The one HTTP client for what lies outside: with time-outs, a cap on bodies, without redirects unless they are allowed.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};

/// A client, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// How long a request may take in all. Default 10s.
    #[serde(with = "crate::duration")]
    pub timeout: Duration,
    /// How long connecting may take. Default 3s.
    #[serde(with = "crate::duration")]
    pub connect_timeout: Duration,
    /// The largest answer, in bytes. Default 1 MiB.
    pub max_body: usize,
    /// How many redirects are followed. Default 0: an answer that sends us elsewhere is the answer.
    pub max_redirects: usize,
    /// PEM file with authorities to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            max_body: 1 << 20,
            max_redirects: 0,
            ca: None,
        }
    }
}

/// Why a request gave no answer, or why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authorities cannot be read.
    #[error("certificate authorities {file}: {why}")]
    Authorities {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// No connection, no answer in time, or not HTTP.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// The answer is larger than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// An answer, read as a whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A client with its connections. Clones share them.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    max_body: usize,
}

impl Client {
    /// A client for `service` (its `user-agent`). Proxies of the environment are not used.
    pub fn new(service: &str, settings: &Settings) -> Result<Self, Error> {
        let redirects = match settings.max_redirects {
            0 => Policy::none(),
            most => Policy::limited(most),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(format!("portcullis-{service}"))
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout)
            .redirect(redirects)
            .no_proxy();
        if let Some(file) = &settings.ca {
            let error = |why: String| Error::Authorities { file: file.display().to_string(), why };
            let pem = std::fs::read(file).map_err(|why| error(why.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|why| error(why.to_string()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { inner: builder.build()?, max_body: settings.max_body })
    }

    /// A request to be filled in, then sent with [`Client::send`].
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends a GET.
    pub async fn get(&self, url: &str) -> Result<Answer, Error> {
        self.send(self.request(Method::GET, url)).await
    }

    /// Sends a request and reads the answer up to the cap.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let mut response = request.send().await?;
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut body = BytesMut::new();
        if announced <= self.max_body {
            while let Some(part) = response.chunk().await? {
                if body.len() + part.len() > self.max_body {
                    return Err(Error::TooLarge(self.max_body));
                }
                body.extend_from_slice(&part);
            }
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            return Ok(Answer { status, headers, body: body.freeze() });
        }
        Err(Error::TooLarge(self.max_body))
    }
}
