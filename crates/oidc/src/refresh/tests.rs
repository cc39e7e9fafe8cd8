//! Renewals that meet.

use kit::reload::Reloading;
use prometheus::Registry;

use super::*;
use crate::cookie::Jar;
use crate::metrics::Metrics;
use crate::runtime::Runtime;
use crate::seal::Keys;
use crate::session::{Sessions, Tokens};
use crate::settings::Settings;

const NOW: Seconds = 1000;

/// A service whose provider nobody has reached yet.
fn service() -> (Arc<Service>, Renewal) {
    let text = "providers: {main: {issuer: 'https://id.example', clientId: a, clientSecret: s}}\n\
                profiles: {web: {providers: [main]}}\n";
    let settings: Arc<Settings> = Arc::new(kit::config::parse("oidc.yaml", text).unwrap());
    let metrics = Arc::new(Metrics::register(&Registry::new()));
    let (runtime, _) = Runtime::new(&settings, None, &metrics).unwrap();
    let profile = Arc::clone(runtime.profile_named("web").unwrap());
    let renewal = Renewal { provider: Arc::clone(&profile.providers[0]), profile };
    let jar = Jar::new(&settings.cookies);
    let sessions = Sessions::new(Store::Cookie, jar, Reloading::fixed(Keys::random()), (100, 1000));
    (Arc::new(Service::new(runtime, sessions, metrics)), renewal)
}

fn session(expires: Option<Seconds>) -> Arc<Session> {
    Arc::new(Session {
        id: "one".into(),
        provider: Arc::from("main"),
        origin: Arc::from(""),
        subject: "ann".into(),
        sid: None,
        claims: Claims::new(),
        tokens: Tokens { refresh: Some("rt".into()), expires, ..Tokens::default() },
        created: NOW,
        authenticated: NOW,
    })
}

#[tokio::test]
async fn a_renewal_that_has_just_landed_is_not_done_again_by_who_looked_before() {
    let over = Found { session: session(Some(NOW)), place: Place::Cookie { stale: false } };
    for renewed in [Some(NOW + 100), None] {
        let (service, renewal) = service();
        assert!(service.refreshing.recent("one", NOW).is_none(), "so a request looks before it goes to the flights");
        service.refreshing.remember("one", &Outcome::Renewed(session(renewed)), NOW);
        let outcome = service.fly(&renewal, &over, NOW).await;
        assert!(matches!(&outcome, Outcome::Renewed(new) if new.tokens.expires == renewed), "{outcome:?}");
        let asked = |outcome: &str| service.metrics.refreshes.with_label_values(&["main", outcome]).get();
        assert_eq!(asked("unavailable"), 0, "{renewed:?}: the provider was asked");
    }
    // What is due again is asked for again.
    let (service, renewal) = service();
    service.refreshing.remember("one", &Outcome::Renewed(session(Some(NOW))), NOW);
    assert!(matches!(service.fly(&renewal, &over, NOW).await, Outcome::Kept));
    assert_eq!(service.metrics.refreshes.with_label_values(&["main", "unavailable"]).get(), 1);
}
