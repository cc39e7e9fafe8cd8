//! Logging out: by the person, and by the provider through the back (it calls us) or the front (the browser does).

use std::sync::Arc;

use serde_json::Value;

use crate::audit;
use crate::clock::Seconds;
use crate::jwt::{self, Claims};
use crate::pages;
use crate::profile::Profile;
use crate::provider::Provider;
use crate::runtime::Own;
use crate::service::Service;
use crate::session::Whose;
use crate::verdict::Answer;
use crate::visit::Visit;

/// What a logout token has to say that it is (OpenID Connect Back-Channel Logout 1.0, 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A logout token that was made longer ago does not count.
const OLDEST: Seconds = 300;

impl Service {
    /// One of our own pages.
    pub(crate) async fn own(self: &Arc<Self>, visit: Visit<'_>, profile: Option<&Arc<Profile>>, own: Own) -> Answer {
        let Visit { runtime, ask, .. } = visit;
        let get = matches!(ask.method.as_str(), "GET" | "HEAD");
        match own {
            Own::Callback if get => self.callback(visit).await,
            Own::Login if get => match profile {
                Some(profile) => self.login_page(visit, profile),
                None => runtime.pages.error(404, "There is no such page.", None, ask.id()),
            },
            Own::Logout => self.log_out(visit, profile).await,
            Own::SignedOut if get => runtime.pages.signed_out(ask.id()),
            Own::Start if get => self.start(visit).await,
            Own::Handover if get => self.take_over(visit, profile).await,
            Own::BackChannel if ask.method == "POST" => self.back_channel(visit).await,
            Own::FrontChannel if get => self.front_channel(visit, profile).await,
            Own::Unknown => runtime.pages.error(404, "There is no such page.", None, ask.id()),
            _ => pages::json(405, "method", "this method is not for this page", ask.id()),
        }
    }

    /// `/logout`: ends the session here and leads to the provider's own logout, where it has one.
    pub(crate) async fn log_out(&self, visit: Visit<'_>, profile: Option<&Arc<Profile>>) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let (jar, cookies) = (self.jar(profile), visit.cookies());
        let found = match self.sessions.find_all(&jar, cookies, now).await {
            Ok(found) => found,
            Err(error) => return self.no_store(ask, error),
        };
        let home = runtime.url(jar.scheme(), &ask.host, "/signed-out");
        let asked = ask.parameter("rd");
        let allowed = &runtime.settings.return_hosts;
        let back = asked.and_then(|rd| crate::return_url::asked(&rd, jar.scheme(), &ask.host, allowed)).unwrap_or(home);
        let mut answer = Answer::redirect(302, back.clone());
        for (_, found) in found {
            if let Err(error) = self.sessions.end(&found, now).await {
                return self.no_store(ask, error);
            }
            let session = &found.session;
            self.metrics.logouts.with_label_values(&["local"]).inc();
            audit::logout("local", &session.provider, &session.id, &session.subject);
            let provider = runtime.providers.get(&*session.provider);
            let provider = provider.filter(|provider| provider.origin == session.origin);
            if let Some(url) = provider.and_then(|provider| provider.end_session(session.tokens.id.as_deref(), &back)) {
                answer = Answer::redirect(302, url);
            }
            answer = answer.event("logout", &session.subject, &session.provider);
        }
        answer.cookies(jar.clear_session(cookies)).cookies(jar.clear_finished(cookies))
    }

    /// `/backchannel`: the provider ends sessions, with a token that says so.
    async fn back_channel(&self, visit: Visit<'_>) -> Answer {
        let ask = visit.ask;
        match self.end_by_token(visit).await {
            Ok(ended) => {
                tracing::debug!(ended, "back-channel logout");
                Answer::new(200)
            }
            Err(Refused::Token(why)) => {
                tracing::warn!("a back-channel logout does not count: {why}");
                self.metrics.denials.with_label_values(&["logout_token"]).inc();
                pages::json(400, "invalid_request", &why, ask.id())
            }
            // The provider has to try again: the sessions still live.
            Err(Refused::Store(error)) => self.no_store(ask, error),
        }
    }

    async fn end_by_token(&self, Visit { runtime, ask, now }: Visit<'_>) -> Result<usize, Refused> {
        let wrong = |why: &str| Refused::Token(why.to_owned());
        let token = ask.field("logout_token").ok_or_else(|| wrong("there is no logout_token in the body"))?;
        let issuer = &*jwt::issuer_of(&token).ok_or_else(|| wrong("it is no signed token"))?;
        let (mut refusal, mut ended) = (wrong("its issuer is none of ours"), None);
        // One issuer may be configured with several clients, and one client several times: policies that ask for different
        // scopes have a provider each. The token is for all of them that it names.
        for provider in runtime.providers_of(issuer) {
            match provider.logout_token(&token).await {
                Ok(claims) => match self.end_by_claims(provider, &claims, now).await {
                    Ok(more) => ended = Some(ended.unwrap_or(0) + more),
                    Err(Refused::Store(error)) => return Err(Refused::Store(error)),
                    Err(refused) => refusal = refused,
                },
                Err(reason) => refusal = wrong(&reason.to_string()),
            }
        }
        ended.ok_or(refusal)
    }

    async fn end_by_claims(&self, provider: &Arc<Provider>, claims: &Claims, now: Seconds) -> Result<usize, Refused> {
        let wrong = |why: &str| Err(Refused::Token(why.to_owned()));
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        if !claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
            return wrong("it is no logout token: the event is missing");
        }
        if claims.contains_key("nonce") {
            return wrong("it has a nonce, as an ID token has");
        }
        if jwt::seconds(claims, "iat").is_none_or(|made| made + OLDEST < now) {
            return wrong("it is too old");
        }
        let Some(jti) = text("jti") else { return wrong("it has no jti") };
        let (sid, subject) = (text("sid"), text("sub"));
        let name = std::sync::Arc::clone(&provider.name);
        let whose = match (sid, subject) {
            (Some(sid), _) => Whose::Sid { provider: name, sid },
            (None, Some(subject)) => Whose::Subject { provider: name, subject },
            (None, None) => return wrong("it names neither a session nor a person"),
        };
        let once = format!("logout {}", crate::session::Key::of(&format!("{}\0{jti}", provider.name)).text());
        if self.sessions.is_used(&once, now).await.map_err(Refused::Store)? {
            return wrong("it was used before");
        }
        // Noted afterwards: when the store fails in between, the provider comes again with the same token.
        let ended = self.sessions.end_all(&whose, true, now).await.map_err(Refused::Store)?;
        self.sessions.first(&once, OLDEST * 2, now).await.map_err(Refused::Store)?;
        self.count_ended("back", provider, ended);
        Ok(ended)
    }

    fn count_ended(&self, how: &str, provider: &Provider, ended: usize) {
        self.metrics.logouts.with_label_values(&[how]).inc_by(u64::try_from(ended).unwrap_or(u64::MAX));
        audit::ended(how, &provider.name, ended);
    }

    /// `/frontchannel`: the provider's page loads this in a frame. Session cookies do not come with it; the provider names its
    /// session, which nobody else knows.
    async fn front_channel(&self, visit: Visit<'_>, profile: Option<&Arc<Profile>>) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let (issuer, sid) = (ask.parameter("iss"), ask.parameter("sid").filter(|sid| sid.len() >= 8));
        let (issuer, sid) = (issuer.unwrap_or_default(), sid.unwrap_or_default());
        let providers: Vec<_> = runtime.providers_of(&issuer).filter(|_| !sid.is_empty()).collect();
        if providers.is_empty() {
            return pages::json(400, "invalid_request", "iss and sid have to be those of a login here", ask.id());
        }
        let mut all = 0;
        for provider in providers {
            let whose = Whose::Sid { provider: Arc::clone(&provider.name), sid: sid.clone() };
            match self.sessions.end_all(&whose, false, now).await {
                Ok(ended) => {
                    self.count_ended("front", provider, ended);
                    all += ended;
                }
                Err(error) => return self.no_store(ask, error),
            }
        }
        let origin = url::Url::parse(&issuer).map(|url| url.origin().ascii_serialization());
        let frames = format!("default-src 'none'; frame-ancestors {}", origin.unwrap_or_else(|_| "'none'".to_owned()));
        let answer = Answer::new(200)
            .header("content-type", "text/html; charset=utf-8")
            .header("content-security-policy", frames);
        // Whoever makes up a session logs nobody out.
        let cookies = ask.header("cookie").filter(|_| all > 0).map(|cookies| self.jar(profile).clear_session(cookies));
        answer.cookies(cookies.unwrap_or_default())
    }
}

/// Why a logout by the provider did not happen.
enum Refused {
    Token(String),
    Store(crate::session::Error),
}
