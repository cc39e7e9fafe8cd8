//! Logging in: to the provider and back.
//!
//! ```text
//! begin: state, nonce, PKCE verifier and where to go, sealed in one of six cookies ─▶ 302 to the provider
//! callback: the cookie of the state ─▶ issuer ─▶ code for tokens ─▶ ID token ─▶ a session under a new id ─▶ 302 back
//! ```
//!
//! Nothing is kept on our side for a login that has begun, so nobody can fill our memory with them; and a browser keeps six at
//! most, so that several tabs can log in at once and none piles up.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ask::Ask;
use crate::audit;
use crate::claims;
use crate::clock::Seconds;
use crate::cookie::SLOTS;
use crate::handover::Home;
use crate::jwt;
use crate::profile::Profile;
use crate::provider::{Error, Granted, Provider};
use crate::random;
use crate::seal::Purpose;
use crate::service::{Service, fulfils};
use crate::session::Session;
use crate::settings::StepUp;
use crate::verdict::Answer;
use crate::visit::Visit;

/// How long a person may take to log in.
const LASTS: Seconds = 600;

/// What a login is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// Where the person goes afterwards, a whole URL that was looked at already.
    pub(crate) back: String,
    /// At which provider.
    pub(crate) provider: Option<String>,
    /// In which way, and how recently.
    pub(crate) step: Option<StepUp>,
    /// The host that the session is handed over to.
    pub(crate) home: Option<Home>,
}

/// A login that has begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) state: String,
    nonce: String,
    verifier: String,
    redirect: String,
    profile: String,
    provider: String,
    /// What the provider was: its answer is not for another one that has its name by now.
    origin: Arc<str>,
    pub(crate) wish: Wish,
    pub(crate) until: Seconds,
    /// The domain of its cookie, when it comes back to another host of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
}

/// A login whose provider is being chosen. It is good at the host where it began only: another host would lead elsewhere.
#[derive(Debug, Serialize, Deserialize)]
struct Choosing {
    wish: Wish,
    until: Seconds,
}

impl Choosing {
    fn sealed_for(host: &str) -> String {
        format!("wish {host}")
    }
}

impl Service {
    /// Sends a browser to log in.
    pub(crate) fn begin_login(&self, visit: Visit<'_>, profile: &Arc<Profile>, wish: &Wish) -> Answer {
        let Visit { runtime, ask, .. } = visit;
        if runtime.settings.login_host.as_ref().is_some_and(|host| *host != ask.host) && wish.home.is_none() {
            return self.send_to_login_host(visit, profile, wish);
        }
        let wanted = match &wish.provider {
            Some(name) => profile.provider(name),
            None => profile.choose(ask),
        };
        let Some(provider) = wanted else { return self.chooser(visit, profile, wish) };
        let answer = self.send_to_provider(visit, profile, provider, wish);
        answer.unwrap_or_else(|error| {
            self.count_login(provider, "unavailable");
            provider.report("login", &error);
            self.provider_down(ask, &error)
        })
    }

    /// The page on which a person says where to log in.
    fn chooser(&self, Visit { runtime, ask, now }: Visit<'_>, profile: &Profile, wish: &Wish) -> Answer {
        let choosing = Choosing { wish: wish.clone(), until: now + LASTS };
        let sealed = self.sessions.keys().seal_text(Purpose::Handover, &Choosing::sealed_for(&ask.host), &choosing);
        let link = |provider: &Arc<Provider>| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("provider", &provider.name)
                .append_pair("wish", &sealed)
                .finish();
            (provider.title().to_owned(), format!("{}/login?{query}", runtime.settings.path_prefix))
        };
        runtime.pages.chooser(&profile.providers.iter().map(link).collect::<Vec<_>>(), ask.id())
    }

    fn send_to_provider(
        &self,
        visit: Visit<'_>,
        profile: &Profile,
        provider: &Provider,
        wish: &Wish,
    ) -> Result<Answer, Error> {
        let (Visit { runtime, ask, now }, jar) = (visit, &self.sessions.jar);
        let secret = random::token();
        let slot = jar.free_slot(visit.cookies(), usize::from(random::hash(&secret)[0]));
        let state = format!("{slot}.{secret}");
        let own = || runtime.url(jar.scheme(), &ask.host, "/callback");
        let wanted = profile.callback(jar.scheme(), &ask.host).or_else(|| provider.settings.redirect_url.clone());
        let redirect = wanted.unwrap_or_else(own);
        let domain = profile.settings.cookies.domain.clone().filter(|_| !is_at(&redirect, &ask.host));
        let lasts = profile.settings.login_timeout.map_or(LASTS, |timeout| timeout.0.as_secs());
        let authorization = provider.authorization(&state, &redirect, parameters(ask, wish))?;
        let begun = Begun {
            state,
            nonce: authorization.nonce,
            verifier: authorization.verifier,
            redirect,
            profile: profile.name.clone(),
            provider: provider.name.to_string(),
            origin: Arc::clone(&provider.origin),
            wish: wish.clone(),
            domain: domain.clone(),
            until: now + lasts,
        };
        let cookie = self.begun_cookie(slot, &begun, lasts, domain.as_deref());
        Ok(Answer::redirect(302, authorization.url).cookies([cookie]))
    }

    pub(crate) fn begun_cookie(
        &self,
        slot: usize,
        begun: &impl Serialize,
        lasts: Seconds,
        domain: Option<&str>,
    ) -> String {
        let jar = &self.sessions.jar;
        let name = jar.login_name(slot, domain.is_some());
        let sealed = self.sessions.keys().seal_text(Purpose::Login, &name, begun);
        jar.set_login(slot, &sealed, lasts, domain)
    }

    /// `/login`: a link that begins a login, or a choice that was made.
    pub(crate) fn login_page(&self, visit: Visit<'_>, profile: &Arc<Profile>) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let jar = &self.sessions.jar;
        let sealed_for = Choosing::sealed_for(&ask.host);
        let open = |sealed: String| self.sessions.keys().open_text(Purpose::Handover, &sealed_for, &sealed);
        let choosing: Option<Choosing> = ask.parameter("wish").and_then(open);
        let wish = choosing.filter(|choosing| now < choosing.until).map(|choosing| choosing.wish);
        let asked = ask.parameter("rd").unwrap_or_else(|| "/".to_owned());
        let back = crate::return_url::asked(&asked, jar.scheme(), &ask.host, &runtime.settings.return_hosts);
        let front = || format!("{}://{}/", jar.scheme(), ask.host);
        let wish = wish.unwrap_or_else(|| Wish { back: back.unwrap_or_else(front), ..Wish::default() });
        // A home only comes from the login host's own pages, which seal it.
        let provider = ask.parameter("provider").or(wish.provider.clone());
        if let Some(name) = provider.as_ref().filter(|name| profile.provider(name).is_none()) {
            tracing::debug!(provider = name, "no such provider here");
            return runtime.pages.error(404, "There is no such place to log in.", None, ask.id());
        }
        self.begin_login(visit, profile, &Wish { provider, ..wish })
    }

    /// The login that a state belongs to, in this browser. It is of use once. Of one that was begun for a whole domain any host
    /// of it may have set the cookie, so that it counts only where such are begun (`away`).
    pub(crate) fn begun<T: for<'de> Deserialize<'de>>(
        &self,
        ask: &Ask,
        state: &str,
        away: bool,
        state_of: impl Fn(&T) -> &str,
    ) -> Option<(usize, T)> {
        let slot = state.split_once('.')?.0.parse().ok().filter(|slot| *slot < SLOTS)?;
        let (jar, keys, header) = (&self.sessions.jar, self.sessions.keys(), ask.header("cookie")?);
        let open = |away: bool| {
            let name = jar.login_name(slot, away);
            let opened = jar.logins(header, slot, away).into_iter();
            let mut opened = opened.filter_map(|sealed| keys.open_text(Purpose::Login, &name, sealed));
            opened.find(|begun| random::equal(state_of(begun), state))
        };
        open(false).or_else(|| if away { open(true) } else { None }).map(|begun| (slot, begun))
    }

    /// `/callback`: the provider sends a person back.
    pub(crate) async fn callback(self: &Arc<Self>, visit: Visit<'_>) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let state = ask.parameter("state").unwrap_or_default();
        let begun = self.begun(ask, &state, runtime.has_shared_logins(), |begun: &Begun| &begun.state);
        let Some((slot, begun)) = begun.filter(|(_, begun)| now < begun.until) else {
            self.metrics.logins.with_label_values(&["", "state"]).inc();
            audit::login_failed(ask, "", "the state belongs to no login of this browser");
            let text = "This login is not known here: it took too long, or it was begun in another browser.";
            return runtime.pages.error(400, text, Some("/"), ask.id());
        };
        let used = self.sessions.jar.set_login(slot, "", 0, begun.domain.as_deref());
        let answer = match self.finish(visit, &begun).await {
            Ok(answer) => answer,
            Err(failed) => self.failed(visit, &begun, &failed),
        };
        answer.cookies([used])
    }

    async fn finish(self: &Arc<Self>, visit: Visit<'_>, begun: &Begun) -> Result<Answer, Failed> {
        let Visit { runtime, ask, now } = visit;
        let profile = runtime.profile_named(&begun.profile).ok_or(Failed::Gone)?;
        let provider = profile.provider_of(&begun.provider, &begun.origin).ok_or(Failed::Gone)?;
        if !provider.is_issuer_of(ask.parameter("iss").as_deref()) {
            return Err(Failed::Issuer);
        }
        if let Some(error) = ask.parameter("error") {
            tracing::debug!(provider = %provider.name, error = ?error.get(..60).unwrap_or(&error), "a login was declined");
            return Err(Failed::Declined);
        }
        let code = ask.parameter("code").ok_or(Failed::NoCode)?;
        // Only what is redeemed has to be remembered. A store that does not know leaves it to the provider, which redeems once.
        if !self
            .sessions
            .first(&format!("state {}", begun.state), begun.until.saturating_sub(now), now)
            .await
            .unwrap_or(true)
        {
            return Err(Failed::Replayed);
        }
        let granted = provider.redeem(&code, &begun.verifier, &begun.redirect, &begun.nonce).await?;
        let session = self.session(profile, provider, granted, now).await?;
        if begun.wish.step.as_ref().is_some_and(|step| !fulfils(step, &session.claims, session.authenticated, now)) {
            return Err(Failed::Step);
        }
        let before = visit.cookies();
        let (value, cookies) =
            self.sessions.begin(&self.jar(Some(profile)), &session, before, now).await.map_err(Failed::Store)?;
        audit::login(ask, &session);
        self.count_login(provider, "done");
        let (to, counted) = match &begun.wish.home {
            // There it is counted whether the session arrives.
            Some(home) => (self.hand_over(visit, home, &value).await.map_err(Failed::Store)?, None),
            None => (begun.wish.back.clone(), Some(self.sessions.jar.set_finished(before))),
        };
        let answer = Answer::redirect(302, to).cookies(cookies).cookies(counted);
        Ok(answer.event("login", &session.subject, &session.provider))
    }

    async fn session(
        &self,
        profile: &Profile,
        provider: &Provider,
        mut granted: Granted,
        now: Seconds,
    ) -> Result<Session, Error> {
        let wanted = &profile.settings.tokens;
        granted.tokens.refresh = granted.tokens.refresh.filter(|_| wanted.refresh);
        granted.tokens.expires = wanted.end(granted.tokens.expires, now);
        let mut claims = granted.claims.unwrap_or_default();
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let subject = text("sub").filter(|subject| !subject.is_empty());
        let subject = subject.ok_or_else(|| Error::Invalid("the ID token names nobody".to_owned()))?;
        // What the login was like only the ID token says.
        let (sid, authenticated) = (text("sid"), jwt::seconds(&claims, "auth_time").unwrap_or(0).min(now));
        if provider.settings.user_info {
            claims::add(&mut claims, provider.user_info(&granted.tokens.access, &subject).await?);
        }
        Ok(Session {
            id: random::token()[..16].to_owned(),
            provider: Arc::clone(&provider.name),
            origin: Arc::clone(&provider.origin),
            sid,
            authenticated,
            subject,
            claims: claims::bounded(claims)?,
            tokens: granted.tokens,
            created: now,
        })
    }

    fn failed(&self, visit: Visit<'_>, begun: &Begun, failed: &Failed) -> Answer {
        let Visit { runtime, ask, .. } = visit;
        let provider = runtime.providers.get(&begun.provider);
        if let Some(provider) = provider {
            self.count_login(provider, failed.label());
        }
        audit::login_failed(ask, &begun.provider, failed.label());
        match failed {
            Failed::Provider(error) => {
                if let Some(provider) = provider {
                    provider.report("login", error);
                }
                if matches!(error, Error::Unavailable(_)) {
                    self.provider_down(ask, error)
                } else {
                    not_done(visit, begun, 502, "The login was not accepted.")
                }
            }
            Failed::Store(error) => self.no_store(ask, *error),
            Failed::Declined => not_done(visit, begun, 403, "The login was cancelled or refused where you log in."),
            Failed::Step => not_done(visit, begun, 403, "You logged in, but not in the way that is needed here."),
            Failed::Gone | Failed::Issuer | Failed::Replayed | Failed::NoCode => {
                not_done(visit, begun, 400, "This login cannot be finished.")
            }
        }
    }

    pub(crate) fn count_login(&self, provider: &Provider, outcome: &str) {
        self.metrics.logins.with_label_values(&[&*provider.name, outcome]).inc();
    }
}

/// Why a login was not finished.
#[derive(Debug)]
enum Failed {
    /// The configuration has changed meanwhile.
    Gone,
    /// The answer is another provider's.
    Issuer,
    /// The answer was used before.
    Replayed,
    /// The person or the provider declined.
    Declined,
    /// The answer has no code.
    NoCode,
    /// The login is not of the kind that is wanted.
    Step,
    /// The tokens cannot be had, or do not hold.
    Provider(Error),
    /// The session cannot be kept.
    Store(crate::session::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Provider(error)
    }
}

impl Failed {
    fn label(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Issuer => "issuer",
            Self::Replayed => "replayed",
            Self::Declined => "declined",
            Self::NoCode => "no_code",
            Self::Step => "step_up",
            Self::Provider(error) => error.kind(),
            Self::Store(error) => error.reason(),
        }
    }
}

fn not_done(visit: Visit<'_>, begun: &Begun, status: u16, text: &str) -> Answer {
    let again = if begun.wish.back.is_empty() { "/" } else { &begun.wish.back };
    visit.runtime.pages.error(status, text, Some(again), visit.ask.id())
}

/// Whether a URL is at a host.
fn is_at(url: &str, host: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next() == Some(host)
}

/// More parameters of the authorization request.
fn parameters(ask: &Ask, wish: &Wish) -> BTreeMap<String, String> {
    let mut more = BTreeMap::new();
    if let Some(hint) = ask.parameter("login_hint").filter(|hint| hint.len() <= 255) {
        more.insert("login_hint".to_owned(), hint);
    }
    if let Some(step) = &wish.step {
        if !step.acr.is_empty() {
            more.insert("acr_values".to_owned(), step.acr.join(" "));
        }
        if let Some(age) = step.max_age {
            more.insert("max_age".to_owned(), age.0.as_secs().to_string());
        }
    }
    more
}
