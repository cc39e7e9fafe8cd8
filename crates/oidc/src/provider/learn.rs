//! Discovery and keys: read at the start and from time to time, and keys also when a token names one that nobody knows.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kit::Kit;
use openidconnect::core::CoreJsonWebKeySet;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::keys::Published;
use super::{Error, Known, Provider, reach};
use crate::jwt::MOST_KEYS;

/// Between two times that keys are asked for because of a token: whoever sends tokens with invented keys must not make us ask
/// more often.
const PAUSE: Duration = Duration::from_secs(10);
/// The first pause after a failure, and the longest.
const RETRIES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The part of discovery that is used.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    /// Starts the task that learns, until the provider is not used any more.
    pub fn start(self: &Arc<Self>, kit: &Kit) {
        let (provider, shutdown) = (Arc::downgrade(self), kit.shutdown.clone());
        kit.tasks.spawn(format!("provider {}", self.name), async move {
            shutdown.unless_stopping(follow(provider)).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Learns now.
    pub(super) async fn learn(&self) -> Result<(), Error> {
        let known = self.read().await?;
        self.known.store(Some(Arc::new(known)));
        Ok(())
    }

    /// Learns because of a token whose key is not in `seen`; nothing when that is all there is.
    pub(super) async fn learn_again(&self, seen: &Arc<Known>) -> Option<Arc<Known>> {
        let mut last = self.learning.lock().await;
        let now = self.known.load_full()?;
        if !Arc::ptr_eq(&now, seen) {
            // Somebody was faster.
            return Some(now);
        }
        if last.is_some_and(|last| last.elapsed() < PAUSE) {
            return None;
        }
        // Noted before, for whoever asked may go away meanwhile, and after, for it may take long.
        *last = Some(Instant::now());
        let read = self.read().await;
        *last = Some(Instant::now());
        let known = Arc::new(read.inspect_err(|error| self.report("keys", error)).ok()?);
        self.known.store(Some(Arc::clone(&known)));
        Some(known)
    }

    /// Waits until it was asked once what it publishes, whatever came of it.
    pub async fn tried(&self) {
        // The sender lives in self, so waiting ends by success only.
        let _ = self.tried.subscribe().wait_for(|tried| *tried).await;
    }

    /// Takes over what is known of the same issuer under other settings, until it is read anew.
    pub fn adopt(&self, before: &Self) {
        let said = |of: &Self| {
            let settings = &of.settings;
            (settings.issuer.clone(), settings.client_id.clone(), settings.endpoints.clone(), settings.insecure)
        };
        if said(self) == said(before) {
            self.known.store(before.known.load_full());
        }
    }

    async fn read(&self) -> Result<Known, Error> {
        let invalid = |what: String| Error::Invalid(what);
        let issuer = &self.settings.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let found: Discovery = self.get("discovery", &url).await?;
        if found.issuer != *issuer {
            return Err(invalid(format!("the issuer calls itself `{}`, configured is `{issuer}`", found.issuer)));
        }
        let endpoints = &self.settings.endpoints;
        let endpoint = |text: &str| reach::endpoint(text, &self.settings).map_err(invalid);
        let optional = |text: &Option<String>| text.as_deref().map(endpoint).transpose();
        let token = endpoints.token.as_ref().or(found.token_endpoint.as_ref());
        let keys: Published = self.get("keys", endpoint(&found.jwks_uri)?.as_str()).await?;
        let token = endpoint(token.ok_or_else(|| invalid("there is no token endpoint".to_owned()))?)?;
        let authorization = endpoint(endpoints.authorization.as_ref().unwrap_or(&found.authorization_endpoint))?;
        if keys.left_out > 0 {
            self.report("keys", &too_many(keys.left_out));
        }
        Ok(Known {
            client: self.client(authorization, token.clone(), CoreJsonWebKeySet::new(keys.of_id))?,
            token,
            user_info: optional(&found.userinfo_endpoint)?,
            end_session: optional(&endpoints.end_session.clone().or(found.end_session_endpoint))?,
            names_itself: found.authorization_response_iss_parameter_supported,
            keys: keys.of_others,
            left_out: keys.left_out,
        })
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, url: &str) -> Result<T, Error> {
        let answer = self.send(what, self.http.request(Method::GET, url)).await?;
        if !answer.status.is_success() {
            return Err(Error::Unavailable(format!("{url} answers {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| Error::Invalid(format!("{url}: {error}")))
    }
}

async fn follow(provider: Weak<Provider>) {
    let mut retry = RETRIES.0;
    loop {
        let pause = {
            let Some(provider) = provider.upgrade() else { return };
            let learnt = provider.learn().await;
            provider.tried.send_replace(true);
            match learnt {
                Ok(()) => {
                    tracing::debug!(provider = %provider.name, "discovery and keys are read");
                    retry = RETRIES.0;
                    provider.settings.refresh_interval
                }
                Err(error) => {
                    provider.report("discovery", &error);
                    let pause = retry;
                    retry = (retry * 2).min(RETRIES.1);
                    pause
                }
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// What is wrong where a provider publishes more keys than count.
pub(super) fn too_many(left_out: usize) -> Error {
    Error::Invalid(format!(
        "it publishes {left_out} keys beyond the first {MOST_KEYS}, which alone count: what one of the others signed is refused"
    ))
}
