//! The bytes of a tree, around those of its routes.
//!
//! What is around them is most of the work if it is made of messages, bucket by bucket; as bytes it is next to nothing.

use envoy::{
    Any, Message, matcher::HttpRequestHeaderMatchInput, route::RouteList, type_url, xds_core::TypedExtensionConfig,
    xds_matcher::matcher::MatcherTree,
};

use super::plan::Bucket;
use crate::{route::Encoded, wire};

/// Appends the tree of these buckets, of which there is one or more, to an encoded virtual host.
pub(super) fn put(buckets: &[Bucket], routes: &[&Encoded], host: &mut Vec<u8>) {
    let frame = Frame::new();
    let lists: Vec<List<'_>> = buckets.iter().map(|bucket| List::new(bucket, routes, &frame)).collect();
    // The empty key comes first. In a map it would do the same, but Envoy may not think of it.
    let (rest, keys) = lists.split_at(lists.iter().take_while(|list| list.bucket.key.is_empty()).count());
    let shell = MatcherTree { input: Some(path_input()), tree_type: None }.encode_to_vec();
    let map: usize = keys.iter().map(|list| wire::size(wire::MAP_ENTRIES, list.entry())).sum();
    let tree = shell.len() + wire::size(wire::TREE_PREFIXES, map);
    let others: usize = rest.iter().map(|list| wire::size(wire::MATCHER_ELSE, list.whole)).sum();
    let matcher = wire::size(wire::MATCHER_TREE, tree) + others;
    host.reserve_exact(wire::size(wire::HOST_MATCHER, matcher));
    wire::put_header(host, wire::HOST_MATCHER, matcher);
    wire::put_header(host, wire::MATCHER_TREE, tree);
    host.extend_from_slice(&shell);
    wire::put_header(host, wire::TREE_PREFIXES, map);
    for list in keys {
        wire::put_header(host, wire::MAP_ENTRIES, list.entry());
        wire::put_message(host, wire::ENTRY_KEY, list.bucket.key.as_bytes());
        wire::put_header(host, wire::ENTRY_VALUE, list.whole);
        list.put(routes, &frame, host);
    }
    for list in rest {
        wire::put_header(host, wire::MATCHER_ELSE, list.whole);
        list.put(routes, &frame, host);
    }
}

fn path_input() -> TypedExtensionConfig {
    let path = HttpRequestHeaderMatchInput { header_name: ":path".to_owned() };
    TypedExtensionConfig { name: "path".to_owned(), typed_config: Some(envoy::any(&path)) }
}

/// What is around every list: an action, and in it an `Any`, each without what it holds.
struct Frame {
    action: Vec<u8>,
    any: Vec<u8>,
}

impl Frame {
    fn new() -> Self {
        let action = TypedExtensionConfig { name: "routes".to_owned(), typed_config: None };
        let any = Any { type_url: type_url::<RouteList>(), value: Vec::new() };
        Self { action: action.encode_to_vec(), any: any.encode_to_vec() }
    }
}

/// The list of a bucket's routes in its frame. Lengths come before what they are the length of, so they are known first.
struct List<'a> {
    bucket: &'a Bucket,
    /// How long the routes are, with the `Any` around them, with the action around that, and as a whole.
    routes: usize,
    any: usize,
    action: usize,
    whole: usize,
}

impl<'a> List<'a> {
    fn new(bucket: &'a Bucket, routes: &[&Encoded], frame: &Frame) -> Self {
        let messages = bucket.routes.iter().flat_map(|route| routes[*route].messages());
        let routes = messages.map(|route| wire::size(wire::LIST_ROUTES, route.len())).sum();
        let any = frame.any.len() + wire::size(wire::ANY_VALUE, routes);
        let action = frame.action.len() + wire::size(wire::EXTENSION_CONFIG, any);
        Self { bucket, routes, any, action, whole: wire::size(wire::FOUND_ACTION, action) }
    }

    /// Its length as an entry of the map.
    fn entry(&self) -> usize {
        wire::size(wire::ENTRY_KEY, self.bucket.key.len()) + wire::size(wire::ENTRY_VALUE, self.whole)
    }

    fn put(&self, routes: &[&Encoded], frame: &Frame, out: &mut Vec<u8>) {
        wire::put_header(out, wire::FOUND_ACTION, self.action);
        out.extend_from_slice(&frame.action);
        wire::put_header(out, wire::EXTENSION_CONFIG, self.any);
        out.extend_from_slice(&frame.any);
        wire::put_header(out, wire::ANY_VALUE, self.routes);
        let messages = self.bucket.routes.iter().flat_map(|route| routes[*route].messages());
        messages.for_each(|route| wire::put_message(out, wire::LIST_ROUTES, route));
    }
}
