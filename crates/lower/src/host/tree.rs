//! Long lists of routes become a tree of short ones, chosen by the path's first characters.
//!
//! Envoy goes through a list route by route, 40 ns each: the last of 1,000 would cost a third more than the first. A map of
//! prefixes finds the bucket of a path at once, and the order within a bucket is the order of the list.
//!
//! Envoy takes the longest key that the path begins with and never tries another. So the bucket of a key has *all* routes that
//! a path with this longest key may match, in their order:
//!
//! - routes whose own path begins with the key, unless a longer key is their bucket,
//! - routes whose path is a beginning of the key (`/` is one of every key),
//! - routes with a regular expression, about which nothing is known.
//!
//! Keys are cut between characters wherever it suits; whether a prefix ends at an element or a path is exact is still for the
//! route to say, which keeps its whole match. What is compared is the path with its query, which only makes it longer.

use std::{collections::BTreeMap, sync::Arc};

use envoy::{
    Any,
    route::RouteList,
    type_url,
    xds_core::TypedExtensionConfig,
    xds_matcher::{
        Matcher,
        matcher::{
            MatcherTree, MatcherType, OnMatch,
            matcher_tree::{MatchMap, TreeType},
            on_match,
        },
    },
};
use ir::{Route, route::PathMatch};

use super::RouteMemo;
use crate::wire;

/// A list of at most so many routes costs less than 3 µs to go through, and a bucket that is smaller costs more at each update.
const SHORT: usize = 64;

/// The lists of all buckets together may be so many times as long as the list itself. Beyond that (many regular expressions)
/// the tree would cost more memory than it saves time.
const MOST_COPIES: usize = 3;

/// A route by the characters that its paths begin with; nothing is known of a regular expression.
struct Entry<'a> {
    path: &'a str,
    order: usize,
}

/// The key of a bucket, and its routes in their order.
struct Bucket {
    key: String,
    routes: Vec<usize>,
}

/// A tree for these routes, if it is worth it.
pub(super) fn matcher(routes: &[(&Arc<Route>, &RouteMemo)]) -> Option<Matcher> {
    if routes.len() <= SHORT {
        return None;
    }
    let mut entries: Vec<Entry<'_>> =
        routes.iter().enumerate().map(|(order, (route, _))| Entry { path: beginning(route), order }).collect();
    entries.sort_unstable_by_key(|entry| (entry.path, entry.order));
    let mut buckets = Vec::new();
    split(&entries, 0, &mut Vec::new(), &mut buckets);
    let copies: usize = buckets.iter().map(|bucket| bucket.routes.len()).sum();
    // One bucket is the list itself.
    if buckets.len() < 2 || copies > routes.len() * MOST_COPIES {
        return None;
    }
    let (rest, buckets): (Vec<_>, Vec<_>) = buckets.into_iter().partition(|bucket| bucket.key.is_empty());
    let map = buckets.iter().map(|bucket| (bucket.key.clone(), on_match(&bucket.routes, routes))).collect();
    let rest = rest.iter().find(|bucket| !bucket.routes.is_empty());
    Some(tree(map, rest.map(|bucket| Box::new(on_match(&bucket.routes, routes)))))
}

fn beginning(route: &Route) -> &str {
    match &route.matcher.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
        PathMatch::Regex(_) => "",
    }
}

/// Makes the buckets of entries that share their first `depth` bytes. `above` are the routes whose paths end before that.
fn split(entries: &[Entry<'_>], depth: usize, above: &mut Vec<usize>, buckets: &mut Vec<Bucket>) {
    // What all share is no choice.
    let common =
        entries.first().zip(entries.last()).map_or(depth, |(first, last)| depth + shared(first.path, last.path, depth));
    let key = |length: usize| entries.first().map(|first| first.path[..length].to_owned()).unwrap_or_default();
    if entries.len() <= SHORT && depth > 0 {
        return buckets.push(bucket(key(depth), entries, above));
    }
    // Sorted, those that end here come first.
    let ending = entries.iter().take_while(|entry| entry.path.len() == common).count();
    let (here, longer) = entries.split_at(ending);
    let before = above.len();
    above.extend(here.iter().map(|entry| entry.order));
    for group in longer.chunk_by(|one, other| character(one.path, common) == character(other.path, common)) {
        let width = character(group[0].path, common).map_or(0, char::len_utf8);
        split(group, common + width, above, buckets);
    }
    // Paths that go on in another way than any of the groups. A shorter path than what all share matches none of these,
    // but may match what is above: that is the bucket of the level above.
    buckets.push(bucket(key(common), &[], above));
    above.truncate(before);
}

fn bucket(key: String, entries: &[Entry<'_>], above: &[usize]) -> Bucket {
    let mut routes: Vec<usize> = above.iter().copied().chain(entries.iter().map(|entry| entry.order)).collect();
    routes.sort_unstable();
    Bucket { key, routes }
}

fn character(path: &str, at: usize) -> Option<char> {
    path[at..].chars().next()
}

/// How many bytes two paths share from a place on, in whole characters.
fn shared(one: &str, other: &str, from: usize) -> usize {
    let pairs = one[from..].chars().zip(other[from..].chars());
    pairs.take_while(|(one, other)| one == other).map(|(character, _)| character.len_utf8()).sum()
}

fn on_match(order: &[usize], routes: &[(&Arc<Route>, &RouteMemo)]) -> OnMatch {
    let encoded = order.iter().flat_map(|index| routes[*index].1);
    let mut value = Vec::with_capacity(encoded.clone().map(|route| wire::bound(route.len())).sum());
    encoded.for_each(|route| wire::put_message(&mut value, wire::LIST_ROUTES, route));
    let list = Any { type_url: type_url::<RouteList>(), value };
    let action = TypedExtensionConfig { name: "routes".to_owned(), typed_config: Some(list) };
    OnMatch { on_match: Some(on_match::OnMatch::Action(action)), ..Default::default() }
}

fn tree(map: BTreeMap<String, OnMatch>, rest: Option<Box<OnMatch>>) -> Matcher {
    let path = envoy::matcher::HttpRequestHeaderMatchInput { header_name: ":path".to_owned() };
    let input = TypedExtensionConfig { name: "path".to_owned(), typed_config: Some(envoy::any(&path)) };
    let tree = MatcherTree { input: Some(input), tree_type: Some(TreeType::PrefixMatchMap(MatchMap { map })) };
    Matcher { on_no_match: rest, matcher_type: Some(MatcherType::MatcherTree(tree)) }
}
