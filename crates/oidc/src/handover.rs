//! One login for hosts of several domains: all logins happen at one host, and the others take the session over from it.
//!
//! ```text
//! app.one ─ /start?to=… (sealed) ─▶ login.two ─ login, or a session that is there ─▶ app.one/handover?code=…
//! ```
//!
//! The code can be taken once, for a minute, and only by the browser that was sent away from that host: a cookie there holds
//! the state that the code goes with. Hosts that the configuration does not name (`returnHosts`) get none: Envoy may take requests
//! of any host, and the code would go to wherever that host really is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit;
use crate::clock::Seconds;
use crate::cookie::Jar;
use crate::login::Wish;
use crate::profile::Profile;
use crate::random;
use crate::seal::Purpose;
use crate::service::{Service, fulfils};
use crate::session::{Error, Found};
use crate::verdict::Answer;
use crate::visit::Visit;

/// How long the way to the login host may take, and that back.
const LASTS: Seconds = 600;
const CODE_LASTS: Seconds = 60;

/// Where a session is handed over to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Home {
    host: String,
    state: String,
}

/// What is asked of the login host.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    profile: String,
    wish: Wish,
    until: Seconds,
}

/// What the host remembers that sent a browser away.
#[derive(Debug, Serialize, Deserialize)]
struct Away {
    state: String,
    back: String,
    until: Seconds,
}

/// What is handed over.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    home: Home,
    value: String,
}

impl Service {
    pub(crate) fn send_to_login_host(&self, visit: Visit<'_>, profile: &Profile, wish: &Wish) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let Some(login_host) = runtime.settings.login_host.as_ref().filter(|_| runtime.may_take_over(&ask.host)) else {
            tracing::warn!(host = ?ask.host, "a host that is not in returnHosts gets no session");
            self.metrics.denials.with_label_values(&["host"]).inc();
            return runtime.pages.error(403, "Nobody can log in to this host.", None, ask.id());
        };
        let jar = &self.sessions.jar;
        let secret = random::token();
        let slot = jar.free_slot(visit.cookies(), usize::from(random::hash(&secret)[0]));
        let state = format!("{slot}.{secret}");
        let away = Away { state: state.clone(), back: wish.back.clone(), until: now + LASTS };
        let wish = Wish { home: Some(Home { host: ask.host.clone(), state }), ..wish.clone() };
        let errand = Errand { profile: profile.name.clone(), wish, until: now + LASTS };
        let sealed = self.sessions.keys().seal_text(Purpose::Handover, "errand", &errand);
        let to = format!("{}?to={sealed}", runtime.url(jar.scheme(), login_host, "/start"));
        Answer::redirect(302, to).cookies([self.begun_cookie(slot, &away, LASTS, None)])
    }

    /// `/start` at the login host.
    pub(crate) async fn start(self: &Arc<Self>, visit: Visit<'_>) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let sealed = ask.parameter("to").unwrap_or_default();
        let errand = self.sessions.keys().open_text::<Errand>(Purpose::Handover, "errand", &sealed);
        let errand = errand.filter(|errand| {
            let here = runtime.settings.login_host.as_ref() == Some(&ask.host);
            // The configuration may be another by now.
            let home = errand.wish.home.as_ref().is_some_and(|home| runtime.may_take_over(&home.host));
            now < errand.until && here && home
        });
        let profile = errand.as_ref().and_then(|errand| runtime.profile_named(&errand.profile));
        let (Some(errand), Some(profile)) = (&errand, profile) else {
            return runtime.pages.error(400, "This link does not begin a login.", None, ask.id());
        };
        let found = match self.sessions.find_all(&self.jar(Some(profile)), visit.cookies(), now).await {
            Ok(found) => found,
            Err(error) => return self.no_store(ask, error),
        };
        let good = |found: &Found| {
            let (session, step) = (&found.session, errand.wish.step.as_ref());
            profile.provider_of(&session.provider, &session.origin).is_some()
                && step.is_none_or(|step| fulfils(step, &session.claims, session.authenticated, now))
        };
        match (found.as_slice(), &errand.wish.home) {
            ([(value, found)], Some(home)) if good(found) => match self.hand_over(visit, home, value).await {
                Ok(to) => Answer::redirect(302, to),
                Err(error) => self.no_store(ask, error),
            },
            _ => self.begin_login(visit, profile, &errand.wish),
        }
    }

    /// Keeps a session's cookie to be taken over, and gives the URL where that happens.
    pub(crate) async fn hand_over(&self, visit: Visit<'_>, home: &Home, value: &str) -> Result<String, Error> {
        let code = random::token();
        let parcel = Parcel { home: home.clone(), value: value.to_owned() };
        let keys = self.sessions.keys();
        let sealed = keys.seal_text(Purpose::Handover, &code, &parcel);
        self.sessions.put(&name(&code), sealed.into_bytes(), CODE_LASTS, visit.now).await?;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &home.state)
            .finish();
        Ok(format!("{}?{query}", visit.runtime.url(self.sessions.jar.scheme(), &home.host, "/handover")))
    }

    /// `/handover` at the host that sent the browser away.
    pub(crate) async fn take_over(&self, visit: Visit<'_>, profile: Option<&Arc<Profile>>) -> Answer {
        let Visit { runtime, ask, now } = visit;
        let refused = |reason: &'static str| {
            self.metrics.logins.with_label_values(&["", "handover"]).inc();
            audit::login_failed(ask, "", reason);
            runtime.pages.error(
                400,
                "This login is not known here: it took too long, or it was begun in another browser.",
                Some("/"),
                ask.id(),
            )
        };
        let state = ask.parameter("state").unwrap_or_default();
        let away = self.begun(ask, &state, false, |away: &Away| &away.state).filter(|(_, away)| now < away.until);
        let Some((slot, away)) = away else { return refused("the state belongs to no login of this browser") };
        let code = ask.parameter("code").unwrap_or_default();
        let parcel = match self.sessions.take(&name(&code), now).await {
            Ok(parcel) => parcel.and_then(|sealed| String::from_utf8(sealed).ok()),
            Err(error) => return self.no_store(ask, error),
        };
        let parcel =
            parcel.and_then(|sealed| self.sessions.keys().open_text::<Parcel>(Purpose::Handover, &code, &sealed));
        let Some(parcel) = parcel.filter(|parcel| parcel.home == Home { host: ask.host.clone(), state }) else {
            return refused("the code does not count");
        };
        if let Err(error) = self.leave(visit, &self.jar(profile), &parcel.value).await {
            return self.no_store(ask, error);
        }
        let (lasts, before) = (runtime.settings.sessions.lifetime.as_secs(), visit.cookies());
        let cookies = self.jar(profile).set_session(&parcel.value, lasts, before).unwrap_or_default();
        let jar = &self.sessions.jar;
        let marks = [jar.set_login(slot, "", 0, None), jar.set_finished(before)];
        Answer::redirect(302, away.back).cookies(cookies).cookies(marks)
    }

    /// Ends the sessions that a browser had here before, but for the one that it gets.
    async fn leave(&self, visit: Visit<'_>, jar: &Jar, value: &str) -> Result<(), Error> {
        let all = self.sessions.find_all(jar, visit.cookies(), visit.now).await?;
        for (_, old) in all.iter().filter(|(known, _)| known != value) {
            self.sessions.end(old, visit.now).await?;
        }
        Ok(())
    }
}

/// The name of a code in the store, which does not tell the code.
fn name(code: &str) -> String {
    format!("handover {}", crate::session::Key::of(code).text())
}
