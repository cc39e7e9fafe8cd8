//! An identity provider: what it published of itself, and what we ask of it.
//!
//! ```text
//! learn (a task): discovery and keys ─▶ Known, the last good one stays ─▶ authorize · exchange · refresh · verify
//! ```
//!
//! Requests of people who are logged in never wait for the provider: what is known is read from memory, and refreshing tokens
//! happens ahead. The crate `openidconnect` is named in this room only.

mod authenticate;
mod keys;
mod learn;
mod reach;
mod tokens;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use kit::http_client::{self, Client};
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Seconds;
use crate::jwt;
use crate::metrics::Metrics;
use crate::session::Key;
use crate::settings;

pub use tokens::{Authorization, Granted};

/// The longest ID token that goes into a URL.
const LONGEST_HINT: usize = 6 << 10;

/// A provider. It lives as long as the configuration that names it.
pub struct Provider {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Which client of which issuer this is, in short. What people were given by another one that had the name is not for this
    /// one, and does not count here.
    pub origin: Arc<str>,
    /// How it is configured.
    pub settings: settings::Provider,
    http: Client,
    known: ArcSwapOption<Known>,
    learning: Mutex<Option<tokio::time::Instant>>,
    tried: tokio::sync::watch::Sender<bool>,
    algorithms: Vec<jsonwebtoken::Algorithm>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Provider").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a provider published.
#[derive(Debug)]
struct Known {
    /// Us as its client, with its keys.
    client: tokens::Plain,
    token: Url,
    user_info: Option<Url>,
    end_session: Option<Url>,
    /// It says who it is in each answer (RFC 9207).
    names_itself: bool,
    keys: jwt::Keys,
    /// How many keys it publishes beyond those that count.
    left_out: usize,
}

/// Why a provider did not give what was asked. Which of them it is decides who has to mend it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It does not answer, or not as a provider: it is down, or the network is.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// It is inside, where we do not ask.
    #[error("the provider is not asked: `{0}` is inside, which the configuration has to allow ({1})")]
    Inside(String, &'static str),
    /// It does not accept us as a client: the id, the secret or the key is wrong.
    #[error("the provider does not accept this client ({0}): its id, secret or key is wrong")]
    Client(String),
    /// The code or refresh token does not count any more.
    #[error("the provider refuses the grant ({0})")]
    Grant(String),
    /// It refused for another reason.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// What it gave does not hold.
    #[error("the provider's answer does not hold: {0}")]
    Invalid(String),
}

impl Error {
    /// The kind as a label.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Inside(..) => "inside",
            Self::Client(_) => "client",
            Self::Grant(_) => "grant",
            Self::Refused(_) => "refused",
            Self::Invalid(_) => "invalid",
        }
    }
}

impl Provider {
    /// A provider about which nothing is known yet.
    pub fn new(name: &str, settings: settings::Provider, metrics: &Arc<Metrics>) -> Result<Self, http_client::Error> {
        let http = http_client::Settings {
            timeout: settings.timeout,
            connect_timeout: settings.timeout.min(Duration::from_secs(3)),
            ca: settings.ca.clone(),
            ..http_client::Settings::default()
        };
        let http = Client::guarded("oidc", &http, reach::guard(&settings))?;
        let algorithms = settings.algorithms.iter().filter_map(|name| jwt::algorithm(name)).collect();
        Ok(Self {
            name: Arc::from(name),
            origin: origin(&settings),
            settings,
            http,
            known: ArcSwapOption::empty(),
            learning: Mutex::default(),
            tried: tokio::sync::watch::Sender::new(false),
            algorithms,
            metrics: Arc::clone(metrics),
        })
    }

    /// What people are shown as its name.
    pub fn title(&self) -> &str {
        self.settings.title.as_deref().unwrap_or(&self.name)
    }

    /// Whether an answer names this provider as its issuer, where it has to or does (RFC 9207): an answer of one provider
    /// that is passed off as another's is found so.
    pub fn is_issuer_of(&self, answer: Option<&str>) -> bool {
        match (answer, self.known.load().as_ref()) {
            (Some(issuer), _) => issuer == self.settings.issuer,
            (None, Some(known)) => !known.names_itself,
            (None, None) => false,
        }
    }

    /// Where a person goes to log out at the provider; nothing when it has no such page.
    pub fn end_session(&self, id_token: Option<&str>, back: &str) -> Option<Url> {
        let mut url = self.known.load().as_ref()?.end_session.clone()?;
        let mut query = url.query_pairs_mut();
        // Servers take URLs of 8 KiB; without the hint the provider asks the person.
        if let Some(token) = id_token.filter(|token| token.len() <= LONGEST_HINT) {
            query.append_pair("id_token_hint", token);
        }
        query.append_pair("client_id", &self.settings.client_id).append_pair("post_logout_redirect_uri", back);
        drop(query);
        Some(url)
    }

    fn known(&self) -> Result<Arc<Known>, Error> {
        self.known.load_full().ok_or_else(|| Error::Unavailable("it has not been reached yet".to_owned()))
    }

    /// Sends a request, measured by what it is for.
    async fn send(&self, what: &str, request: reqwest::RequestBuilder) -> Result<http_client::Answer, Error> {
        let timer = self.metrics.provider_seconds.with_label_values(&[&self.name, what]).start_timer();
        let answer = self.http.send(request).await;
        timer.observe_duration();
        answer.map_err(|error| match error.guarded() {
            Some(host) if self.settings.of_policy => Error::Inside(host.to_owned(), "policyInternalHosts"),
            Some(host) => Error::Inside(host.to_owned(), "internalHosts of the provider"),
            // Of the error, not its URL: that may carry a code.
            None => Error::Unavailable(plain(&error)),
        })
    }

    /// Counts and logs what went wrong, by who has to mend it.
    pub fn report(&self, what: &str, error: &Error) {
        self.metrics.provider_errors.with_label_values(&[&self.name, error.kind()]).inc();
        match error {
            Error::Client(_) | Error::Inside(..) => tracing::error!(provider = %self.name, what, "{error}"),
            _ => tracing::warn!(provider = %self.name, what, "{error}"),
        }
    }
}

/// 132 bits of a SHA-256: nobody finds two that have the same.
fn origin(settings: &settings::Provider) -> Arc<str> {
    let hash = Key::of(&format!("{}\0{}", settings.issuer, settings.client_id)).text();
    Arc::from(&hash[..22])
}

fn plain(error: &http_client::Error) -> String {
    use std::error::Error as _;
    match error {
        http_client::Error::Request(error) if error.is_timeout() => "no answer in time".to_owned(),
        http_client::Error::Request(error) => {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            causes.last().map_or_else(|| "the request failed".to_owned(), ToString::to_string)
        }
        other => other.to_string(),
    }
}

/// Whether something may still be renewed, given how long it lasts.
pub fn is_due(expires: Option<Seconds>, ahead: Seconds, now: Seconds) -> bool {
    expires.is_some_and(|end| end <= now + ahead)
}
