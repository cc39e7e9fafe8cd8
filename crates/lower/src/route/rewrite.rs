//! How a path is changed, in requests that go on and in redirects.
//!
//! Prefixes are replaced element by element. Envoy replaces characters, which is the same but at two places: where the
//! whole prefix goes away, and where what matched is the root.

use envoy::{
    matcher::RegexMatchAndSubstitute,
    route::{RouteAction, redirect_action::PathRewriteSpecifier},
};
use ir::{
    Matcher,
    route::{PathMatch, PathRewrite},
};

use crate::convert::{quote, quote_substitution, substitute};

/// A replacement of a prefix, in Envoy's terms.
enum Replaced {
    /// Nothing changes.
    Nothing,
    /// The characters that matched become these.
    Characters(String),
    /// What matches becomes something else.
    Regex(RegexMatchAndSubstitute),
}

/// Changes the path of requests that go on.
pub(super) fn of_action(matcher: &Matcher, rewrite: &PathRewrite, action: &mut RouteAction) {
    match rewrite {
        PathRewrite::Full(path) => action.regex_rewrite = Some(whole(path)),
        PathRewrite::Regex { pattern, substitution } => action.regex_rewrite = Some(substitute(pattern, substitution)),
        PathRewrite::Prefix(replacement) => match prefix(matcher, replacement) {
            Replaced::Nothing => {}
            Replaced::Characters(text) => action.prefix_rewrite = text,
            Replaced::Regex(regex) => action.regex_rewrite = Some(regex),
        },
    }
}

/// Changes the path of a redirect.
pub(super) fn of_redirect(matcher: &Matcher, rewrite: &PathRewrite) -> Option<PathRewriteSpecifier> {
    match rewrite {
        PathRewrite::Full(path) => Some(PathRewriteSpecifier::PathRedirect(path.clone())),
        PathRewrite::Regex { pattern, substitution } => {
            Some(PathRewriteSpecifier::RegexRewrite(substitute(pattern, substitution)))
        }
        PathRewrite::Prefix(replacement) => match prefix(matcher, replacement) {
            Replaced::Nothing => None,
            Replaced::Characters(text) => Some(PathRewriteSpecifier::PrefixRewrite(text)),
            Replaced::Regex(regex) => Some(PathRewriteSpecifier::RegexRewrite(regex)),
        },
    }
}

/// The whole path, without the query, becomes another.
fn whole(path: &str) -> RegexMatchAndSubstitute {
    substitute("^/.*$", &quote_substitution(path))
}

fn prefix(matcher: &Matcher, replacement: &str) -> Replaced {
    let replacement = replacement.trim_end_matches('/');
    match (&matcher.path, replacement) {
        (PathMatch::Prefix(matched), "") if matched.is_empty() => Replaced::Nothing,
        // The slash belongs to what matched: `/a` becomes `/new/a`.
        (PathMatch::Prefix(matched), _) if matched.is_empty() => Replaced::Characters(format!("{replacement}/")),
        // Neither `//` nor nothing may be left: `/old/a` and `/old` become `/a` and `/`.
        (PathMatch::Prefix(matched), "") => Replaced::Regex(substitute(&format!("^{}/*", quote(matched)), "/")),
        (PathMatch::Prefix(_), _) => Replaced::Characters(replacement.to_owned()),
        // A whole path matched, so that the prefix is the whole path.
        (PathMatch::Exact(_) | PathMatch::Regex(_), "") => Replaced::Regex(whole("/")),
        (PathMatch::Exact(_) | PathMatch::Regex(_), _) => Replaced::Regex(whole(replacement)),
    }
}
