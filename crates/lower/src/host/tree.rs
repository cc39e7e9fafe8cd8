//! Long lists of routes become a tree of short ones, chosen by the path's first characters.
//!
//! Envoy goes through a list route by route, 40 ns each: the last of 1,000 would cost a third more than the first. A map of
//! prefixes finds the bucket of a path at once, and the order within a bucket is the order of the list. Envoy takes the
//! longest key that the path begins with and never tries another, see [`plan`] for what that means. What it compares is the
//! path with its query, which only makes it longer.
//!
//! Buckets are kept encoded: when a route changes but for its path, its buckets are all that is made anew.

mod plan;

use bytes::Bytes;
use envoy::{
    Any, Message,
    matcher::HttpRequestHeaderMatchInput,
    route::RouteList,
    type_url,
    xds_core::TypedExtensionConfig,
    xds_matcher::matcher::{MatcherTree, OnMatch, on_match},
};
use ir::Route;

use self::plan::Bucket;
use crate::{
    kept::{Change, Kept},
    route::Encoded,
    wire,
};

/// What was made the last time.
#[derive(Debug, Default)]
pub(super) struct TreeMemo {
    /// What each route's paths begin with.
    beginnings: Vec<Box<str>>,
    buckets: Vec<(Bucket, Bytes)>,
}

impl TreeMemo {
    /// Brings it up to date. There are no buckets where a list does as well.
    pub(super) fn update(&mut self, routes: &Kept<Route, Encoded>, change: &Change) {
        let encoded: Vec<&Encoded> = routes.iter().map(|(_, encoded)| encoded).collect();
        let Change { before, after } = change;
        let old = &self.beginnings[before.clone()];
        let same = before.len() == after.len() && encoded.len() == self.beginnings.len();
        if same && old.iter().zip(&encoded[after.clone()]).all(|(old, new)| *old == new.beginning) {
            for (bucket, bytes) in &mut self.buckets {
                if bucket.routes.iter().any(|index| after.contains(index)) {
                    *bytes = encode(bucket, &encoded);
                }
            }
            return;
        }
        self.beginnings = encoded.iter().map(|encoded| encoded.beginning.clone()).collect();
        let buckets = plan::plan(&self.beginnings).unwrap_or_default().into_iter();
        let with_bytes = |bucket: Bucket| {
            let bytes = encode(&bucket, &encoded);
            (bucket, bytes)
        };
        self.buckets = buckets.map(with_bytes).collect();
    }

    /// Appends the tree to an encoded virtual host.
    pub(super) fn put(&self, host: &mut Vec<u8>) {
        // The empty key comes first. In a map it would do the same, but Envoy may not think of it.
        let (rest, keys) = match self.buckets.split_first() {
            Some(((bucket, rest), keys)) if bucket.key.is_empty() => (Some(rest), keys),
            _ => (None, self.buckets.as_slice()),
        };
        let shell = MatcherTree { input: Some(path_input()), tree_type: None }.encode_to_vec();
        let map: usize = keys.iter().map(|(_, entry)| wire::size(wire::MAP_ENTRIES, entry.len())).sum();
        let tree = shell.len() + wire::size(wire::TREE_PREFIXES, map);
        let rest_size = rest.map_or(0, |rest| wire::size(wire::MATCHER_ELSE, rest.len()));
        wire::put_header(host, wire::HOST_MATCHER, wire::size(wire::MATCHER_TREE, tree) + rest_size);
        wire::put_header(host, wire::MATCHER_TREE, tree);
        host.extend_from_slice(&shell);
        wire::put_header(host, wire::TREE_PREFIXES, map);
        keys.iter().for_each(|(_, entry)| wire::put_message(host, wire::MAP_ENTRIES, entry));
        rest.into_iter().for_each(|rest| wire::put_message(host, wire::MATCHER_ELSE, rest));
    }

    /// The most bytes that [`TreeMemo::put`] appends; `None` where there is no tree.
    pub(super) fn bound(&self) -> Option<usize> {
        let entries = self.buckets.iter().map(|(_, bytes)| wire::bound(bytes.len()));
        (!self.buckets.is_empty()).then(|| entries.sum::<usize>() + SHELL)
    }
}

/// More than what a tree has around its entries.
const SHELL: usize = 256;

fn path_input() -> TypedExtensionConfig {
    let path = HttpRequestHeaderMatchInput { header_name: ":path".to_owned() };
    TypedExtensionConfig { name: "path".to_owned(), typed_config: Some(envoy::any(&path)) }
}

/// A bucket as an entry of the map, or without a key as what is for all others.
fn encode(bucket: &Bucket, encoded: &[&Encoded]) -> Bytes {
    let messages = bucket.routes.iter().flat_map(|index| encoded[*index].messages());
    let mut value = Vec::with_capacity(messages.clone().map(|route| wire::bound(route.len())).sum());
    messages.for_each(|route| wire::put_message(&mut value, wire::LIST_ROUTES, route));
    let list = Any { type_url: type_url::<RouteList>(), value };
    let action = TypedExtensionConfig { name: "routes".to_owned(), typed_config: Some(list) };
    let found = OnMatch { on_match: Some(on_match::OnMatch::Action(action)), ..Default::default() }.encode_to_vec();
    if bucket.key.is_empty() {
        return found.into();
    }
    let mut entry = Vec::with_capacity(wire::bound(bucket.key.len()) + wire::bound(found.len()));
    wire::put_message(&mut entry, wire::ENTRY_KEY, bucket.key.as_bytes());
    wire::put_message(&mut entry, wire::ENTRY_VALUE, &found);
    entry.into()
}

#[cfg(test)]
mod tests;
