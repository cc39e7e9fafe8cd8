//! Which requests a route takes.

use envoy::route::{
    CookieMatcher, HeaderMatcher, QueryParameterMatcher, RouteMatch, header_matcher::HeaderMatchSpecifier,
    query_parameter_matcher::QueryParameterMatchSpecifier, route_match::PathSpecifier,
};
use ir::{
    Matcher,
    route::{PathMatch, ValueMatch},
};

use crate::convert::{exact, regex, string_match};

/// The match of a route.
///
/// A header that comes several times is matched as one value with commas between, as RFC 9110 (5.3) has it: Envoy
/// joins them before it compares, so that a second value cannot hide behind a first that matches.
pub(super) fn lower(matcher: &Matcher) -> RouteMatch {
    let method =
        matcher.method.iter().map(|method| header(":method", HeaderMatchSpecifier::StringMatch(exact(method))));
    let headers = matcher
        .headers
        .iter()
        .map(|(name, value)| header(name, HeaderMatchSpecifier::StringMatch(string_match(value))));
    RouteMatch {
        path_specifier: Some(path(&matcher.path)),
        headers: method.chain(headers).collect(),
        query_parameters: matcher.query.iter().map(|(name, value)| query(name, value)).collect(),
        cookies: matcher.cookies.iter().map(|(name, value)| cookie(name, value)).collect(),
        ..Default::default()
    }
}

fn path(path: &PathMatch) -> PathSpecifier {
    match path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.clone()),
        // A plain prefix: `path_separated_prefix` cannot be the root.
        PathMatch::Prefix(prefix) if prefix.is_empty() => PathSpecifier::Prefix("/".to_owned()),
        PathMatch::Prefix(prefix) => PathSpecifier::PathSeparatedPrefix(prefix.clone()),
        PathMatch::Regex(expression) => PathSpecifier::SafeRegex(regex(expression)),
    }
}

fn header(name: &str, specifier: HeaderMatchSpecifier) -> HeaderMatcher {
    HeaderMatcher { name: name.to_owned(), header_match_specifier: Some(specifier), ..Default::default() }
}

fn query(name: &str, value: &ValueMatch) -> QueryParameterMatcher {
    let specifier = QueryParameterMatchSpecifier::StringMatch(string_match(value));
    QueryParameterMatcher { name: name.to_owned(), query_parameter_match_specifier: Some(specifier) }
}

fn cookie(name: &str, value: &ValueMatch) -> CookieMatcher {
    CookieMatcher { name: name.to_owned(), string_match: Some(string_match(value)), invert_match: false }
}

/// The characters that all paths begin with which a route takes; nothing is known of a regular expression.
pub(super) fn beginning(matcher: &Matcher) -> &str {
    match &matcher.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
        PathMatch::Regex(_) => "",
    }
}
