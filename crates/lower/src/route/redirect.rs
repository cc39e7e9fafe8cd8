//! The client is sent elsewhere.

use envoy::matcher::string_matcher::MatchPattern;
use envoy::route::{
    self, HeaderMatcher, RedirectAction,
    header_matcher::HeaderMatchSpecifier,
    redirect_action::{RedirectResponseCode, SchemeRewriteSpecifier},
    route::Action as Specifier,
};
use ir::{Action, Matcher, Route, api::gateway::RedirectScheme, route::Redirect};

use super::rewrite;
use crate::convert::{pattern, regex};

/// A host with a port, IPv6 addresses in brackets included.
const HOST_WITH_PORT: &str = r".*:[0-9]+";

/// The action of a route that redirects. The query stays.
pub(super) fn redirect(matcher: &Matcher, redirect: &Redirect) -> RedirectAction {
    RedirectAction {
        scheme_rewrite_specifier: redirect.scheme.as_ref().map(|_| scheme(redirect)),
        host_redirect: redirect.hostname.clone().unwrap_or_default(),
        port_redirect: redirect.port.map(u32::from).unwrap_or_default(),
        path_rewrite_specifier: redirect.path.as_ref().and_then(|path| rewrite::of_redirect(matcher, path)),
        response_code: code(redirect.status).into(),
        ..Default::default()
    }
}

fn scheme(redirect: &Redirect) -> SchemeRewriteSpecifier {
    let https = matches!(redirect.scheme, Some(RedirectScheme::Https));
    SchemeRewriteSpecifier::SchemeRedirect(if https { "https" } else { "http" }.to_owned())
}

/// 302 unless it is another that Envoy knows.
fn code(status: u16) -> RedirectResponseCode {
    match status {
        301 => RedirectResponseCode::MovedPermanently,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::Found,
    }
}

/// The route that stands before a redirect for requests with a port in the host, if there must be one.
///
/// A redirect to another scheme without a port goes to the scheme's own port. Envoy keeps the port that the client wrote
/// into the host, which is the port of the old scheme: such requests get a route of their own, which says the port.
pub(super) fn with_port(route: &Route, lowered: &route::Route) -> Option<route::Route> {
    let Action::Redirect(Redirect { scheme: Some(scheme), hostname: None, port: None, .. }) = &*route.action else {
        return None;
    };
    let mut with_port = lowered.clone();
    if let Some(Specifier::Redirect(action)) = &mut with_port.action {
        action.port_redirect = if matches!(scheme, RedirectScheme::Https) { 443 } else { 80 };
    }
    with_port.r#match.get_or_insert_default().headers.push(HeaderMatcher {
        name: ":authority".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(pattern(MatchPattern::SafeRegex(regex(
            HOST_WITH_PORT,
        ))))),
        ..Default::default()
    });
    Some(with_port)
}
