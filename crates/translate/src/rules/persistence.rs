//! Session persistence (GEP-1619).

use api::gateway::{CookieLifetime, SessionPersistence, SessionPersistenceType};
use ir::{
    Matcher,
    route::{PathMatch, Session, SessionKind},
};

use super::RuleScope;
use crate::{durations::duration, problem::Problem};

/// Reads a rule's session persistence. Without a name the rule gives one, so that rules do not share sessions.
pub(super) fn session(rule: RuleScope<'_>, settings: &SessionPersistence) -> Result<Session, Problem> {
    use api::Stored;
    let own_name = || format!("portcullis-{}-{}-{}", rule.route.namespace(), rule.route.name(), rule.index);
    let name = settings.session_name.clone().unwrap_or_else(own_name);
    if settings.r#type == Some(SessionPersistenceType::Header) {
        return Ok(Session { name, kind: SessionKind::Header });
    }
    if settings.idle_timeout.is_some() {
        let message =
            "sessionPersistence.idleTimeout cannot be kept by a cookie that holds the end point; use absoluteTimeout";
        return Err(Problem::new("UnsupportedValue", message));
    }
    let lifetime = settings.cookie_config.as_ref().and_then(|cookie| cookie.lifetime_type.clone());
    let timeout = settings.absolute_timeout.as_deref().map(|text| duration("absoluteTimeout", text)).transpose()?;
    let ttl = match lifetime {
        Some(CookieLifetime::Permanent) => {
            let message = "a Permanent cookie needs sessionPersistence.absoluteTimeout";
            Some(timeout.ok_or_else(|| Problem::new("UnsupportedValue", message))?)
        }
        _ => None,
    };
    Ok(Session { name, kind: SessionKind::Cookie { path: path(rule), ttl, lifetime } })
}

/// The longest path that all matches of the rule are below.
fn path(rule: RuleScope<'_>) -> String {
    let matchers = super::matches::of_rule(rule, &[]).unwrap_or_default();
    let paths = matchers.iter().map(|(_, Matcher { path, .. })| match path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path.as_str(),
        PathMatch::Regex(_) => "",
    });
    let common = paths.reduce(|a, b| {
        let same = a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b).map(|(a, _)| a.len() + 1);
        &a[..same.sum::<usize>().saturating_sub(1).min(a.len())]
    });
    common.filter(|path| !path.is_empty()).unwrap_or("/").to_owned()
}
