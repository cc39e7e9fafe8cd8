//! `envoy.filters.http.stateful_session`: requests of one session go to one end point.

use envoy::{
    core::TypedExtensionConfig,
    ext::{
        http::stateful_session::{StatefulSession, StatefulSessionPerRoute, stateful_session_per_route::Override},
        session::{cookie::CookieBasedSessionState, header::HeaderBasedSessionState},
    },
    http_types::{Cookie, CookieAttribute},
};
use ir::{
    Action, Route,
    api::gateway::CookieLifetime,
    route::{Session, SessionKind},
};

use crate::http_filters::{Chain, Instance};

/// The name of the filter.
pub(crate) const NAME: &str = "envoy.filters.http.stateful_session";

/// Off but for the routes that have sessions, which say how.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    chain.needs.session.then(|| Instance::off(NAME, &StatefulSession::default())).into_iter().collect()
}

/// The session of a route.
pub(super) fn of_route(route: &Route) -> Option<&Session> {
    match &*route.action {
        Action::Forward(forward) => forward.session.as_ref(),
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

/// What a route says: where the end point is kept. When it is gone another one is taken, and the session begins anew.
pub(super) fn per_route(session: &Session) -> StatefulSessionPerRoute {
    let filter = StatefulSession { session_state: Some(state(session)), strict: false, ..Default::default() };
    StatefulSessionPerRoute { r#override: Some(Override::StatefulSession(filter)) }
}

fn state(session: &Session) -> TypedExtensionConfig {
    match &session.kind {
        SessionKind::Header => {
            let header = HeaderBasedSessionState { name: session.name.clone() };
            envoy::extension("envoy.http.stateful_session.header", &header)
        }
        SessionKind::Cookie { path, ttl, lifetime } => {
            // A session cookie has no age, whatever time-out goes with it.
            let permanent = !matches!(lifetime, Some(CookieLifetime::Session));
            let cookie = Cookie {
                name: session.name.clone(),
                ttl: ttl.filter(|_| permanent).map(envoy::duration),
                path: path.clone(),
                // The end point's address is nothing for scripts.
                attributes: vec![CookieAttribute { name: "HttpOnly".to_owned(), value: String::new() }],
            };
            let state = CookieBasedSessionState { cookie: Some(cookie) };
            envoy::extension("envoy.http.stateful_session.cookie", &state)
        }
    }
}
