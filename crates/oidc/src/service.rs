//! The decision: may this request pass, and what is the client told if not?
//!
//! ```text
//! profile ─▶ a page of ours? ─▶ bearer token ─▶ session (refresh, step-up) ─▶ rules ─▶ pass
//!                                   └─ neither: anonymous path, login (browser), 401 (program)
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::ask::{Ask, Caller};
use crate::audit;
use crate::clock::{self, Seconds};
use crate::cookie::Jar;
use crate::exchange::Exchanged;
use crate::jwt::{self, Claims, LEEWAY, Refusal};
use crate::login::Wish;
use crate::metrics::Metrics;
use crate::pages;
use crate::profile::Profile;
use crate::refresh::{Refreshed, Refreshing};
use crate::return_url;
use crate::rules::{Facts, allowing};
use crate::runtime::{Own, Runtime};
use crate::session::{Error, Found, Sessions};
use crate::settings::{Bearer, StepUp};
use crate::upstream::{self, Told};
use crate::verdict::{Answer, Verdict};
use crate::visit::Visit;

/// How long a client waits before it tries again when something is down.
const RETRY_AFTER: &str = "5";

/// The service.
#[derive(Debug)]
pub struct Service {
    pub(crate) runtime: ArcSwap<Runtime>,
    pub(crate) sessions: Sessions,
    pub(crate) refreshing: Refreshing,
    pub(crate) exchanged: Exchanged,
    pub(crate) metrics: Arc<Metrics>,
}

/// A decision and how it is counted.
pub(crate) type Decision = (&'static str, Verdict);

/// Who asks.
enum Who {
    Session(Found),
    Bearer { claims: Claims, provider: Arc<str>, token: String },
}

impl Who {
    fn claims(&self) -> &Claims {
        match self {
            Self::Session(found) => &found.session.claims,
            Self::Bearer { claims, .. } => claims,
        }
    }

    fn provider(&self) -> &str {
        match self {
            Self::Session(found) => &found.session.provider,
            Self::Bearer { provider, .. } => provider,
        }
    }

    fn scopes(&self) -> Vec<String> {
        match self {
            Self::Session(found) => found.session.tokens.scopes.clone(),
            Self::Bearer { claims, .. } => scopes_of(claims),
        }
    }
}

impl Service {
    /// A service with these parts.
    pub fn new(runtime: Runtime, sessions: Sessions, metrics: Arc<Metrics>) -> Self {
        Self {
            runtime: ArcSwap::from_pointee(runtime),
            sessions,
            refreshing: Refreshing::default(),
            exchanged: Exchanged::default(),
            metrics,
        }
    }

    /// Decides about a request.
    pub async fn check(self: &Arc<Self>, ask: &Ask) -> Verdict {
        let timer = self.metrics.check_seconds.start_timer();
        let runtime = self.runtime.load_full();
        let (outcome, verdict) = self.decide(Visit { runtime: &runtime, ask, now: clock::now() }).await;
        timer.observe_duration();
        self.metrics.checks.with_label_values(&[outcome]).inc();
        verdict
    }

    /// Answers a request that was sent to this service itself: one of our own pages.
    pub async fn page(self: &Arc<Self>, ask: &Ask) -> Answer {
        let runtime = self.runtime.load_full();
        let own = runtime.own(ask).filter(|_| ask.has_plain_host()).unwrap_or(Own::Unknown);
        self.own(Visit { runtime: &runtime, ask, now: clock::now() }, runtime.profile(ask), own).await
    }

    async fn decide(self: &Arc<Self>, visit: Visit<'_>) -> Decision {
        let Visit { runtime, ask, .. } = visit;
        if !ask.has_plain_host() {
            return self.refuse("host", pages::json(400, "bad_host", "the host is none", ask.id()));
        }
        let Some(profile) = runtime.profile(ask) else {
            tracing::error!(named = ?ask.context.get("profile"), "a route names a profile that is not configured");
            return self.refuse(
                "profile",
                pages::json(403, "no_profile", "this route has no profile for logging in", ask.id()),
            );
        };
        if let Some(own) = runtime.own(ask) {
            return ("own", self.own(visit, Some(profile), own).await.into());
        }
        if profile.is_callback(ask) {
            return ("own", self.own(visit, Some(profile), Own::Callback).await.into());
        }
        if profile.is_logout(ask.path()) {
            return ("own", self.log_out(visit, Some(profile)).await.into());
        }
        let anonymous = profile.is_anonymous(&ask.method, ask.path());
        match self.who(visit, profile).await {
            // What all get is not refused to those who are known.
            Ok(Some((who, cookies))) if anonymous => self.let_pass(profile, ask, &who, cookies).await,
            Ok(Some((who, cookies))) => match self.may(visit, profile, &who) {
                Ok(()) => self.let_pass(profile, ask, &who, cookies).await,
                Err(refused) => *refused,
            },
            // Whoever is not known gets what all get, and a token that does not hold stays here.
            Ok(None) | Err(_) if anonymous => {
                ("anonymous", Verdict::Pass(Box::new(upstream::pass(ask, profile, &self.jar(Some(profile)), None))))
            }
            Ok(None) => self.ask_to_log_in(visit, profile, &Wish::default()),
            Err(answer) => ("denied", (*answer).into()),
        }
    }

    /// Who asks, as far as a token or a session says; and cookies to set.
    async fn who(
        self: &Arc<Self>,
        visit: Visit<'_>,
        profile: &Arc<Profile>,
    ) -> Result<Option<(Who, Vec<String>)>, Box<Answer>> {
        let (Visit { ask, now, .. }, cookies) = (visit, visit.cookies());
        if let (Some(wanted), Some(token)) = (&profile.settings.bearer, ask.bearer()) {
            return self.bearer(profile, wanted, token, ask).await.map(|who| Some((who, Vec::new())));
        }
        let jar = self.jar(Some(profile));
        let found =
            self.sessions.find(&jar, cookies, now).await.map_err(|error| Box::new(self.no_store(ask, error)))?;
        let Some(found) = found else { return Ok(None) };
        // A login at a provider that this route does not trust counts for nothing here.
        let session = &found.session;
        let Some(provider) = profile.provider_of(&session.provider, &session.origin) else { return Ok(None) };
        match self.refreshed(profile, provider, found, now).await {
            Refreshed::Goes(found, _) if profile.settings.tokens.bind_session && found.has_ended(now) => Ok(None),
            Refreshed::Goes(found, true) => {
                let kept = self.sessions.replace(&jar, found.place, &found.session, cookies, now).await;
                let kept = kept.inspect_err(|error| {
                    tracing::error!(session = found.session.id, "renewed tokens cannot be kept: {error}");
                });
                Ok(Some((Who::Session(found), kept.ok().flatten().unwrap_or_default())))
            }
            Refreshed::Goes(found, false) => {
                let cookies = self.sessions.touch(&jar, &found, cookies, now);
                Ok(Some((Who::Session(found), cookies)))
            }
            Refreshed::Ended => Ok(None),
        }
    }

    /// The program that a token is of. Only the provider that the token names is asked: a token of one waits for no other.
    async fn bearer(&self, profile: &Profile, wanted: &Bearer, token: &str, ask: &Ask) -> Result<Who, Box<Answer>> {
        let issuer = jwt::issuer_of(token).unwrap_or_default();
        let mut refusal = Refusal::Issuer;
        for provider in profile.providers.iter().filter(|provider| provider.settings.issuer == issuer) {
            match provider.bearer(token, wanted).await {
                Ok(claims) => {
                    let provider = Arc::clone(&provider.name);
                    return Ok(Who::Bearer { claims, provider, token: token.to_owned() });
                }
                Err(reason) => refusal = reason,
            }
        }
        self.metrics.denials.with_label_values(&["token"]).inc();
        if refusal == Refusal::Unready {
            let text = "Tokens cannot be verified at the moment. Please try again soon.";
            return Err(Box::new(pages::json(503, "unavailable", text, ask.id()).header("retry-after", RETRY_AFTER)));
        }
        Err(Box::new(unauthorized(ask, "invalid_token", &format!("the token does not count: {refusal}"))))
    }

    pub(crate) fn no_store(&self, ask: &Ask, error: Error) -> Answer {
        self.metrics.denials.with_label_values(&["store"]).inc();
        tracing::warn!("{error}");
        let text = "Logins cannot be looked up at the moment. Please try again soon.";
        self.people_or_programs(ask, 503, "unavailable", text).header("retry-after", RETRY_AFTER)
    }

    /// Whether somebody who is known has logged in well enough, and may do this.
    fn may(&self, visit: Visit<'_>, profile: &Arc<Profile>, who: &Who) -> Result<(), Box<Decision>> {
        let Visit { ask, now, .. } = visit;
        let claims = who.claims();
        if let Some(step) = profile.settings.step_up.as_ref().filter(|step| !is_fresh(step, who, now)) {
            let wish = Wish { step: Some(step.clone()), ..Wish::default() };
            self.metrics.denials.with_label_values(&["step_up"]).inc();
            return Err(Box::new(self.ask_to_log_in(visit, profile, &wish)));
        }
        if profile.rules.is_empty() {
            return Ok(());
        }
        let scopes = who.scopes();
        let facts = Facts {
            claims,
            scopes: &scopes,
            provider: who.provider(),
            bearer: matches!(who, Who::Bearer { .. }),
            verified_email: profile.settings.verified_email,
            method: &ask.method,
            path: ask.path(),
            host: ask.host_name(),
        };
        if allowing(&profile.rules, &facts).is_some() {
            return Ok(());
        }
        audit::denied(ask, &profile.name, subject(claims), "no rule allows it");
        let answer = denied(visit).event("denied", subject(claims), who.provider());
        Err(Box::new(self.refuse("rule", answer)))
    }

    /// Sends a request on, with what the server behind is told.
    async fn let_pass(&self, profile: &Arc<Profile>, ask: &Ask, who: &Who, cookies: Vec<String>) -> Decision {
        let access = match self.access(profile, who).await {
            Ok(access) => access,
            Err(error) => return self.refuse("exchange", self.provider_down(ask, &error)),
        };
        let (outcome, token, id) = match who {
            Who::Session(Found { session, .. }) => {
                ("session", Some(session.tokens.access.as_str()), session.tokens.id.as_deref())
            }
            Who::Bearer { token, .. } => ("bearer", Some(token.as_str()), None),
        };
        let told = Told { claims: who.claims(), provider: who.provider(), access: access.as_deref(), token, id };
        let mut pass = upstream::pass(ask, profile, &self.jar(Some(profile)), Some(told));
        pass.cookies = cookies;
        pass.cookies.extend(self.sessions.jar.clear_finished(ask.header("cookie").unwrap_or_default()));
        (outcome, Verdict::Pass(Box::new(pass)))
    }

    /// The access token that the server behind gets, if it gets one.
    async fn access(&self, profile: &Profile, who: &Who) -> Result<Option<String>, crate::provider::Error> {
        let (token, key, name) = match who {
            Who::Session(found) => (&found.session.tokens.access, &found.session.id, &found.session.provider),
            Who::Bearer { token, provider, .. } => (token, token, provider),
        };
        let upstream = &profile.settings.upstream;
        match (&upstream.exchange, profile.provider(name)) {
            (Some(wanted), Some(provider)) => self.exchanged.get(provider, key, token, wanted).await.map(Some),
            _ => Ok(upstream.access_token.then(|| token.clone())),
        }
    }

    /// Somebody has to log in (again): a browser is sent to, a program is told.
    fn ask_to_log_in(&self, visit: Visit<'_>, profile: &Arc<Profile>, wish: &Wish) -> Decision {
        let ask = visit.ask;
        if ask.caller() == Caller::Browser && !profile.is_told_only(ask) {
            let jar = &self.sessions.jar;
            let back = format!("{}://{}{}", jar.scheme(), ask.host, return_url::kept(&ask.target));
            let wish = Wish { back, ..wish.clone() };
            if let Some(answer) = self.goes_round(visit) {
                return self.refuse("loop", answer);
            }
            return ("login", self.begin_login(visit, profile, &wish).into());
        }
        let answer = match &wish.step {
            Some(step) => unauthorized_step(ask, step),
            None => unauthorized(ask, "", "a login is needed"),
        };
        self.refuse("login", answer)
    }

    /// The cookies of a profile.
    pub(crate) fn jar(&self, profile: Option<&Arc<Profile>>) -> Cow<'_, Jar> {
        profile.map_or(Cow::Borrowed(&self.sessions.jar), |profile| self.sessions.jar.of(&profile.settings.cookies))
    }

    pub(crate) fn refuse(&self, reason: &'static str, answer: Answer) -> Decision {
        self.metrics.denials.with_label_values(&[reason]).inc();
        ("denied", answer.into())
    }

    pub(crate) fn provider_down(&self, ask: &Ask, error: &crate::provider::Error) -> Answer {
        let (status, text) = match error {
            crate::provider::Error::Unavailable(_) => {
                (503, "The place where people log in does not answer. Please try again soon.")
            }
            _ => (502, "The place where people log in did not accept this."),
        };
        let answer = self.people_or_programs(ask, status, "provider", text);
        if status == 503 { answer.header("retry-after", RETRY_AFTER) } else { answer }
    }

    pub(crate) fn people_or_programs(&self, ask: &Ask, status: u16, error: &str, text: &str) -> Answer {
        match ask.caller() {
            Caller::Browser => self.runtime.load().pages.error(status, text, None, ask.id()),
            Caller::Program => pages::json(status, error, text, ask.id()),
        }
    }
}

fn denied(Visit { runtime, ask, .. }: Visit<'_>) -> Answer {
    match ask.caller() {
        Caller::Browser => runtime.pages.denied(ask.id()),
        Caller::Program => pages::json(403, "forbidden", "this is not allowed", ask.id()),
    }
}

fn subject(claims: &Claims) -> &str {
    claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// What a token of a program may do: `scope` as a text, or `scp` as some providers have it.
fn scopes_of(claims: &Claims) -> Vec<String> {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(serde_json::Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(serde_json::Value::Array(list)) => list.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect(),
        _ => Vec::new(),
    }
}

/// Whether somebody has logged in in the way and at the time that a route wants.
fn is_fresh(step: &StepUp, who: &Who, now: Seconds) -> bool {
    let since = match who {
        Who::Session(found) => found.session.authenticated,
        Who::Bearer { claims, .. } => jwt::seconds(claims, "auth_time").unwrap_or(0),
    };
    fulfils(step, who.claims(), since, now)
}

/// Whether a login at that time, with these claims, is one that is wanted.
pub(crate) fn fulfils(step: &StepUp, claims: &Claims, since: Seconds, now: Seconds) -> bool {
    let class = claims.get("acr").and_then(serde_json::Value::as_str).unwrap_or_default();
    let way = step.acr.is_empty() || step.acr.iter().any(|wanted| wanted == class);
    way && step.max_age.is_none_or(|age| now <= since.saturating_add(age.0.as_secs()).saturating_add(LEEWAY))
}

/// 401 for a program (RFC 6750).
fn unauthorized(ask: &Ask, error: &str, text: &str) -> Answer {
    let more = if error.is_empty() { String::new() } else { format!(", error=\"{error}\"") };
    let name = if error.is_empty() { "login_required" } else { error };
    pages::json(401, name, text, ask.id()).header("www-authenticate", format!("Bearer realm=\"{}\"{more}", ask.host))
}

/// 401 for a program whose user has to log in in another way (RFC 9470).
fn unauthorized_step(ask: &Ask, step: &StepUp) -> Answer {
    let mut challenge = format!("Bearer realm=\"{}\", error=\"insufficient_user_authentication\"", ask.host);
    let acr: Vec<&str> = step.acr.iter().map(String::as_str).filter(|one| !one.contains(['"', '\\'])).collect();
    if !acr.is_empty() {
        challenge.push_str(&format!(", acr_values=\"{}\"", acr.join(" ")));
    }
    if let Some(age) = step.max_age {
        challenge.push_str(&format!(", max_age=\"{}\"", age.0.as_secs()));
    }
    let text = "a login of another kind, or a newer one, is needed";
    pages::json(401, "insufficient_user_authentication", text, ask.id()).header("www-authenticate", challenge)
}
