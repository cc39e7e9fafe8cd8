//! `envoy.filters.http.cors`: which origins' pages may read answers.

use envoy::{
    ext::http::cors::{Cors, CorsPolicy},
    matcher::{StringMatcher, string_matcher::MatchPattern},
};
use ir::api::gateway;

use crate::{
    convert::{exact, pattern, quote, regex},
    http_filters::{Chain, Instance},
};

/// The name of the filter.
pub(crate) const NAME: &str = "envoy.filters.http.cors";

/// It does nothing on routes that say nothing to it.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    chain.needs.cors.then(|| Instance::off(NAME, &Cors {})).into_iter().collect()
}

/// What a route says to it.
pub(super) fn policy(cors: &gateway::Cors) -> CorsPolicy {
    let credentials = cors.allow_credentials.unwrap_or_default();
    // Envoy answers `*` with the methods and headers that were asked for: to a browser with credentials a `*` would mean nothing.
    // Of headers to expose none are asked for: there `*` stays, and helps only without credentials.
    let join = |names: &Option<Vec<String>>| match names.as_deref().unwrap_or_default() {
        names if names.iter().any(|name| name == "*") => "*".to_owned(),
        names => names.join(", "),
    };
    CorsPolicy {
        allow_origin_string_match: cors.allow_origins.iter().flatten().map(|origin| origin_match(origin)).collect(),
        allow_methods: join(&cors.allow_methods),
        allow_headers: join(&cors.allow_headers),
        expose_headers: join(&cors.expose_headers),
        max_age: cors.max_age.map(|age| age.to_string()).unwrap_or_default(),
        allow_credentials: credentials.then_some(true),
        // A preflight from elsewhere is not the back end's business: it is answered without CORS headers.
        forward_not_matching_preflights: Some(false),
        ..Default::default()
    }
}

/// `*`, `https://a.example.com`, or with a wildcard for any number of labels: `https://*.example.com`, `https://*`.
fn origin_match(origin: &str) -> StringMatcher {
    match origin.split_once('*') {
        None => exact(origin),
        Some(("", "")) => pattern(MatchPattern::SafeRegex(regex(".*"))),
        Some((before, after)) => {
            // Only what can be in a host, so that `https://evil.example/.example.com` is no match.
            let expression = format!("{}[A-Za-z0-9._:\\[\\]-]+{}", quote(before), quote(after));
            pattern(MatchPattern::SafeRegex(regex(&expression)))
        }
    }
}
