//! Renewing tokens ahead of their end, once for all who ask at the same time.
//!
//! ```text
//! due? ─▶ a flight of this process (one a session) ─▶ lease in Redis (one of all replicas) ─▶ provider ─▶ store
//! ```
//!
//! A refresh token that is used twice may end the session at the provider, so nobody asks while somebody does. While the old
//! access token still lives, requests go on with it and nobody waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use hashbrown::HashMap;

use crate::audit;
use crate::claims;
use crate::clock::{self, Seconds};
use crate::fading::Fading;
use crate::jwt::{self, Claims};
use crate::profile::Profile;
use crate::provider::{Error, Granted, Provider, is_due};
use crate::random;
use crate::service::Service;
use crate::session::{Found, Key, Place, Session, Store};

/// What came of a refresh is remembered so long: for requests under way that still bring what was before it, and so that a
/// provider that is down is not asked by each request.
const GRACE: Seconds = 30;
/// How long a lease lasts unless it is renewed, and how often it is.
const LEASE: Duration = Duration::from_secs(5);
/// How long is waited for another replica.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at what another replica does.
const LOOK: Duration = Duration::from_millis(30);

/// A session after it was looked at.
pub(crate) enum Refreshed {
    /// It goes on; whether it has to be written back to where it is.
    Goes(Found, bool),
    /// It has ended: the provider does not renew it.
    Ended,
}

#[derive(Debug, Clone)]
enum Outcome {
    /// New tokens, which are in the store already where there is one.
    Renewed(Arc<Session>),
    /// The provider did not answer: what there is goes on.
    Kept,
    /// The provider refused.
    Ended,
}

/// By whom tokens are renewed, and for which profile.
#[derive(Debug, Clone)]
struct Renewal {
    profile: Arc<Profile>,
    provider: Arc<Provider>,
}

type Flight = Shared<BoxFuture<'static, Outcome>>;

/// What is being renewed and what was.
#[derive(Default)]
pub(crate) struct Refreshing {
    flights: Mutex<HashMap<String, Flight>>,
    recent: Mutex<Fading<String, Outcome>>,
}

impl std::fmt::Debug for Refreshing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Refreshing")
    }
}

impl Refreshing {
    fn recent(&self, id: &str, now: Seconds) -> Option<Outcome> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).get(id, now).cloned()
    }

    /// What came of the last renewal, when that is the answer for somebody with this session.
    fn known(&self, session: &Session, now: Seconds) -> Option<Outcome> {
        let end = session.tokens.expires;
        let is_old = |last: &Session| last.tokens.expires.is_some_and(|last| end.is_some_and(|end| last <= end));
        match self.recent(&session.id, now)? {
            // What was read is newer than that, and due again; but where tokens last no longer than they are renewed ahead, the
            // provider is not asked at each request.
            Outcome::Renewed(last) if is_old(&last) => end.filter(|end| *end > now).map(|_| Outcome::Kept),
            outcome => Some(outcome),
        }
    }

    fn remember(&self, id: &str, outcome: &Outcome, now: Seconds) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.insert(id.to_owned(), outcome.clone(), now + GRACE, now);
    }
}

impl Service {
    /// The session with tokens that are good, as far as that can be had.
    pub(crate) async fn refreshed(
        self: &Arc<Self>,
        profile: &Arc<Profile>,
        provider: &Arc<Provider>,
        found: Found,
        now: Seconds,
    ) -> Refreshed {
        let tokens = &found.session.tokens;
        let ahead = self.runtime.load().settings.sessions.refresh_ahead.as_secs();
        if tokens.refresh.is_none() || !is_due(tokens.expires, ahead, now) {
            return Refreshed::Goes(found, false);
        }
        match self.fly(&Renewal { profile: Arc::clone(profile), provider: Arc::clone(provider) }, &found, now).await {
            Outcome::Renewed(session) => {
                let changed = matches!(found.place, Place::Cookie { .. });
                Refreshed::Goes(Found { session, place: found.place }, changed)
            }
            Outcome::Kept => Refreshed::Goes(found, false),
            Outcome::Ended => Refreshed::Ended,
        }
    }

    /// What came of it lately, or else of the flight of this session, which is joined or started. Who still has a good token
    /// and a store does not wait for it.
    async fn fly(self: &Arc<Self>, renewal: &Renewal, found: &Found, now: Seconds) -> Outcome {
        let flight = {
            let mut flights = self.refreshing.flights.lock().unwrap_or_else(PoisonError::into_inner);
            // Under the lock: what has landed is remembered by then, and its refresh token is not used again.
            if let Some(outcome) = self.refreshing.known(&found.session, now) {
                return outcome;
            }
            let (service, renewal, found) = (Arc::clone(self), renewal.clone(), found.clone());
            let (id, key) = (found.session.id.clone(), found.session.id.clone());
            let start = || {
                let flight = async move {
                    let outcome = service.renew(&renewal, &found).await;
                    service.refreshing.remember(&id, &outcome, clock::now());
                    service.refreshing.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    outcome
                };
                let flight = flight.boxed().shared();
                // It lands even when all who wait for it are gone: the refresh token is used up.
                tokio::spawn(flight.clone());
                flight
            };
            flights.entry(key).or_insert_with(start).clone()
        };
        let alive = found.session.tokens.expires.is_some_and(|end| end > now);
        if alive && matches!(found.place, Place::Stored(_)) { Outcome::Kept } else { flight.await }
    }

    async fn renew(self: &Arc<Self>, renewal: &Renewal, found: &Found) -> Outcome {
        let Place::Stored(key) = found.place else { return self.ask(renewal, found).await };
        let Store::Redis(redis, _) = &self.sessions.store else { return self.ask_anew(renewal, found, &key).await };
        let holder = random::token();
        let millis = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            match redis.lease(&key, &holder, millis).await {
                Ok(true) => break,
                Ok(false) if tokio::time::Instant::now() < end => tokio::time::sleep(LOOK).await,
                // Without Redis nobody knows who else asks: the old tokens go on.
                Ok(false) | Err(_) => return Outcome::Kept,
            }
        }
        let outcome = {
            let mut asking = std::pin::pin!(self.ask_anew(renewal, found, &key));
            loop {
                tokio::select! {
                    outcome = &mut asking => break outcome,
                    () = tokio::time::sleep(LEASE / 3) => drop(redis.renew_lease(&key, &holder, millis).await),
                }
            }
        };
        // A lease that cannot be given back runs out.
        let _ = redis.release(&key, &holder).await;
        outcome
    }

    /// Asks the provider unless somebody was faster since the session was read.
    async fn ask_anew(&self, renewal: &Renewal, found: &Found, key: &Key) -> Outcome {
        match self.sessions.load(key, clock::now()).await {
            Ok(Some(current)) if current.tokens != found.session.tokens => Outcome::Renewed(current),
            Ok(Some(current)) => self.ask(renewal, &Found { session: current, place: found.place }).await,
            Ok(None) => Outcome::Ended,
            Err(_) => Outcome::Kept,
        }
    }

    async fn ask(&self, renewal: &Renewal, found: &Found) -> Outcome {
        let (session, provider) = (&found.session, &renewal.provider);
        let label = |outcome: &str| self.metrics.refreshes.with_label_values(&[&*provider.name, outcome]).inc();
        let granted = provider.refresh(&session.tokens).await.and_then(|granted| same_person(session, granted));
        let renewed = match granted {
            Ok(granted) => self.renewed(renewal, session, granted).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(renewed) => {
                let kept = match found.place {
                    Place::Stored(_) => {
                        self.sessions.replace(&self.sessions.jar, found.place, &renewed, "", clock::now()).await
                    }
                    Place::Cookie { .. } => Ok(Some(Vec::new())),
                };
                match kept {
                    Ok(Some(_)) => label("renewed"),
                    // It was ended meanwhile.
                    Ok(None) => return Outcome::Ended,
                    Err(error) => {
                        label("lost");
                        tracing::error!(session = session.id, "renewed tokens cannot be kept: {error}");
                    }
                }
                Outcome::Renewed(Arc::new(renewed))
            }
            Err(error @ (Error::Unavailable(_) | Error::Inside(..) | Error::Client(_))) => {
                label("unavailable");
                provider.report("refresh", &error);
                Outcome::Kept
            }
            Err(error) => {
                label("refused");
                provider.report("refresh", &error);
                let _ = self.sessions.end(found, clock::now()).await;
                self.metrics.logouts.with_label_values(&["refresh"]).inc();
                audit::logout("refresh", &provider.name, &session.id, &session.subject);
                Outcome::Ended
            }
        }
    }

    /// The session with new tokens, and with what the provider says of the person now.
    async fn renewed(&self, renewal: &Renewal, session: &Session, granted: Granted) -> Result<Session, Error> {
        let (Renewal { profile, provider }, Granted { mut tokens, claims: new }) = (renewal, granted);
        tokens.expires = profile.settings.tokens.end(tokens.expires, clock::now());
        let asks = provider.settings.user_info;
        let said = new.or_else(|| jwt::claims_of(tokens.id.as_deref()?).filter(|_| asks));
        let claims = match said {
            None => session.claims.clone(),
            Some(said) => {
                let more = if asks { self.more(provider, session, &tokens.access).await? } else { Claims::new() };
                claims::renewed(&session.claims, said, more)
            }
        };
        Ok(Session { tokens, claims: claims::bounded(claims)?, ..session.clone() })
    }

    /// What the user info endpoint says now; what it said before when it does not answer, for the tokens are renewed already.
    async fn more(&self, provider: &Provider, session: &Session, access: &str) -> Result<Claims, Error> {
        match provider.user_info(access, &session.subject).await {
            Err(error @ Error::Invalid(_)) => Err(error),
            Err(error) => {
                provider.report("user info", &error);
                Ok(session.claims.clone())
            }
            said => said,
        }
    }
}

/// Renewed tokens have to be about the same person.
fn same_person(session: &Session, granted: Granted) -> Result<Granted, Error> {
    let other = granted.claims.as_ref().and_then(|claims| claims.get("sub")?.as_str());
    match other {
        Some(subject) if subject != session.subject => {
            Err(Error::Invalid("the renewed ID token is about somebody else".to_owned()))
        }
        _ => Ok(granted),
    }
}

#[cfg(test)]
mod tests;
