//! What a rule matches, and the precedence of its matches.
//!
//! The specification orders the matches of all routes of a host: exact paths first, then the longest prefix; then a
//! method; then the most headers; then the most query parameters. It leaves the place of regular expressions to us:
//! between exact paths and prefixes, the longer expression first, as Envoy Gateway has it.

use api::{
    RouteKind,
    gateway::{
        GrpcMatch, GrpcMethodMatch, GrpcMethodMatchType, HeaderMatch, HttpMatch, MatchType, Method,
        PathMatch as ApiPath, PathMatchType, QueryMatchType, same_shape,
    },
};
use ir::{
    Matcher,
    route::{PathMatch, ValueMatch},
};

use super::RuleScope;
use crate::problem::Problem;

/// The precedence of a match: the greater one is tried first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// 2 for an exact path, 1 for a regular expression, 0 for a prefix.
    path: u8,
    /// Characters in the path; for gRPC, in the service.
    length: usize,
    /// For gRPC: characters in the method.
    rpc: usize,
    method: bool,
    headers: usize,
    query: usize,
    cookies: usize,
}

/// A list of cookies that a request must have all of.
type Cookies = Vec<(String, ValueMatch)>;

/// All matches of a rule, with their precedence. A rule without any matches every request.
pub(super) fn of_rule(rule: RuleScope<'_>, cookies: &[Cookies]) -> Result<Vec<(Rank, Matcher)>, Problem> {
    let mut matchers = match rule.route.kind {
        RouteKind::Grpc => {
            let matches = rule.route.grpc_matches.get(rule.index).map(Vec::as_slice).unwrap_or_default();
            matches.iter().map(grpc).collect::<Result<Vec<_>, _>>()?
        }
        _ => rule.rule.matches.iter().flatten().map(http).collect::<Result<Vec<_>, _>>()?,
    };
    if matchers.is_empty() {
        matchers.push((Rank { length: 1, ..Rank::default() }, Matcher::default()));
    }
    Ok(with_cookies(matchers, cookies))
}

/// Each match with each list of cookies.
fn with_cookies(matchers: Vec<(Rank, Matcher)>, cookies: &[Cookies]) -> Vec<(Rank, Matcher)> {
    if cookies.is_empty() {
        return matchers;
    }
    let with = |(rank, matcher): &(Rank, Matcher), list: &Cookies| {
        let rank = Rank { cookies: list.len(), ..rank.clone() };
        (rank, Matcher { cookies: list.clone(), ..matcher.clone() })
    };
    matchers.iter().flat_map(|matcher| cookies.iter().map(move |list| with(matcher, list))).collect()
}

fn http(item: &HttpMatch) -> Result<(Rank, Matcher), Problem> {
    let (path, kind, length) = path(item.path.as_ref())?;
    let headers = headers(item.headers.as_deref().unwrap_or_default())?;
    let mut query: Vec<(String, ValueMatch)> = Vec::new();
    for param in item.query_params.iter().flatten() {
        // Of several with one name only the first counts, as the specification has it.
        if query.iter().all(|(name, _)| *name != param.name) {
            let regex = param.r#type == Some(QueryMatchType::RegularExpression);
            query.push((param.name.clone(), value(regex, &param.value)?));
        }
    }
    let method = item.method.as_ref().map(method);
    let rank = Rank {
        path: kind,
        length,
        rpc: 0,
        method: method.is_some(),
        headers: headers.len(),
        query: query.len(),
        cookies: 0,
    };
    Ok((rank, Matcher { path, method, headers, query, cookies: Vec::new() }))
}

/// The path, its kind's precedence and its length.
fn path(path: Option<&ApiPath>) -> Result<(PathMatch, u8, usize), Problem> {
    let text = path.and_then(|path| path.value.as_deref()).unwrap_or("/");
    let kind = path.and_then(|path| path.r#type.clone()).unwrap_or(PathMatchType::PathPrefix);
    if kind == PathMatchType::RegularExpression {
        return Ok((PathMatch::Regex(regex(text)?), 1, text.len()));
    }
    if !text.starts_with('/') {
        return Err(Problem::new("UnsupportedValue", format!("the path {text:?} must begin with a slash")));
    }
    Ok(match kind {
        PathMatchType::Exact => (PathMatch::Exact(text.to_owned()), 2, text.len()),
        _ => {
            let prefix = text.trim_end_matches('/');
            (PathMatch::Prefix(prefix.to_owned()), 0, prefix.len().max(1))
        }
    })
}

fn method(method: &Method) -> String {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
    }
    .to_owned()
}

/// Header matches. Names are compared without case; of several with one name only the first counts.
fn headers(items: &[HeaderMatch]) -> Result<Vec<(String, ValueMatch)>, Problem> {
    let mut headers: Vec<(String, ValueMatch)> = Vec::new();
    for item in items {
        let name = item.name.to_ascii_lowercase();
        if headers.iter().all(|(known, _)| *known != name) {
            let is_regex = item.r#type == Some(MatchType::RegularExpression);
            headers.push((name, value(is_regex, &item.value)?));
        }
    }
    Ok(headers)
}

/// A match of a value.
pub(super) fn value(is_regex: bool, text: &str) -> Result<ValueMatch, Problem> {
    match is_regex {
        true => Ok(ValueMatch::Regex(regex(text)?)),
        false => Ok(ValueMatch::Exact(text.to_owned())),
    }
}

/// A regular expression that Envoy (RE2) will take. The syntax that we check with is a near superset: what slips
/// through is caught when Envoy refuses it.
pub(crate) fn regex(text: &str) -> Result<String, Problem> {
    match regex_syntax::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(Problem::new("UnsupportedValue", format!("{text:?} is not a regular expression: {reason}")))
        }
    }
}

/// A gRPC method is the path `/service/method` (gRPC over HTTP/2, "Requests").
fn grpc(item: &GrpcMatch) -> Result<(Rank, Matcher), Problem> {
    let headers: Vec<HeaderMatch> = item.headers.as_ref().map(same_shape).unwrap_or_default();
    let headers = self::headers(&headers)?;
    let (path, mut rank) = match &item.method {
        Some(method) => rpc(method)?,
        None => (PathMatch::default(), Rank::default()),
    };
    rank.headers = headers.len();
    Ok((rank, Matcher { path, headers, ..Matcher::default() }))
}

fn rpc(method: &GrpcMethodMatch) -> Result<(PathMatch, Rank), Problem> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (service, rpc) = (given(&method.service), given(&method.method));
    let lengths = (service.as_ref().map_or(0, String::len), rpc.as_ref().map_or(0, String::len));
    let rank = |path| Rank { path, length: lengths.0, rpc: lengths.1, ..Rank::default() };
    const ANY: &str = "[^/]+";
    if method.r#type == Some(GrpcMethodMatchType::RegularExpression) {
        let part = |text: Option<String>| {
            text.map_or(Ok(ANY.to_owned()), |text| regex(&text).map(|text| format!("(?:{text})")))
        };
        return Ok((PathMatch::Regex(format!("/{}/{}", part(service)?, part(rpc)?)), rank(1)));
    }
    Ok(match (service, rpc) {
        (Some(service), Some(rpc)) => (PathMatch::Exact(format!("/{service}/{rpc}")), rank(2)),
        (Some(service), None) => (PathMatch::Prefix(format!("/{service}")), rank(0)),
        (None, Some(rpc)) => (PathMatch::Regex(format!("/{ANY}/{}", regex_syntax::escape(&rpc))), rank(0)),
        (None, None) => return Err(Problem::new("UnsupportedValue", "a method match needs a service or a method")),
    })
}
