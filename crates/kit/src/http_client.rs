//! The one HTTP client for what lies outside: with time-outs, a cap on bodies, without redirects unless they are allowed.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
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
    /// The guard allows no address of the host.
    #[error("`{0}` may not be reached: its address is not allowed")]
    Guarded(String),
    /// The answer is larger than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Error {
    /// The host that the guard allows no address of, if that is what is wrong.
    pub fn guarded(&self) -> Option<&str> {
        let causes = std::iter::successors(Some(self as &(dyn std::error::Error + 'static)), |&error| error.source());
        causes.filter_map(|error| error.downcast_ref::<Self>()).find_map(|error| match error {
            Self::Guarded(host) => Some(host.as_str()),
            _ => None,
        })
    }
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
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    max_body: usize,
    guard: Option<Guard>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("max_body", &self.max_body).finish_non_exhaustive()
    }
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, Error> {
    let error = |why: String| Error::Authorities { file: file.display().to_string(), why };
    let pem = std::fs::read(file).map_err(|why| error(why.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|why| error(why.to_string()))
}

/// Whether a host may be reached at an address.
pub type Guard = Arc<dyn Fn(&str, IpAddr) -> bool + Send + Sync>;

impl Client {
    /// A client for `service` (its `user-agent`). Proxies of the environment are not used.
    pub fn new(service: &str, settings: &Settings) -> Result<Self, Error> {
        Self::build(service, settings, None)
    }

    /// The same, for URLs that others name: a host is reached only at addresses that `guard` allows, whatever DNS says.
    pub fn guarded(service: &str, settings: &Settings, guard: Guard) -> Result<Self, Error> {
        Self::build(service, settings, Some(guard))
    }

    fn build(service: &str, settings: &Settings, guard: Option<Guard>) -> Result<Self, Error> {
        let authorities = settings.ca.as_deref().map(authorities).transpose()?;
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(format!("portcullis-{service}"))
                .timeout(settings.timeout)
                .connect_timeout(settings.connect_timeout)
                .redirect(match settings.max_redirects {
                    0 => Policy::none(),
                    most => Policy::limited(most),
                })
                .no_proxy();
            match &guard {
                Some(guard) => builder.dns_resolver(Arc::new(Guarded(Arc::clone(guard)))),
                None => builder,
            }
        };
        let inner = match authorities {
            Some(authorities) => builder().tls_certs_merge(authorities).build()?,
            // Small images have no authorities, and may need none: what is asked by plain HTTP is none of their business.
            None => builder().build().or_else(|error| {
                tracing::warn!(error = ?error.source(), "nobody can be asked by HTTPS without a setting `ca`");
                builder().tls_certs_only([]).build()
            })?,
        };
        Ok(Self { inner, max_body: settings.max_body, guard })
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
        let (client, request) = request.build_split();
        let request = request?;
        self.refuse_numbers(request.url())?;
        let mut response = client.execute(request).await?;
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

    /// Hosts that are addresses already are not asked of the resolver.
    fn refuse_numbers(&self, url: &reqwest::Url) -> Result<(), Error> {
        let Some(guard) = &self.guard else { return Ok(()) };
        let host = url.host_str().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !guard(host, address) => Err(Error::Guarded(host.to_owned())),
            _ => Ok(()),
        }
    }
}

/// The system's resolver, without the addresses that are not allowed.
struct Guarded(Guard);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| guard(&host, address.ip())).collect();
            if allowed.is_empty() {
                return Err(Error::Guarded(host).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
