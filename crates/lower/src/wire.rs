//! Protobuf's wire format, as far as it takes to put encoded messages into another one without decoding them.
//!
//! A field of type message is a tag, a length and the message. Fields may come in any order, and a repeated field may come
//! in several places, so that a message with an empty list can be encoded by prost and the list be appended to it.
//! <https://protobuf.dev/programming-guides/encoding/>

/// `envoy.config.route.v3.RouteConfiguration.virtual_hosts`
pub(crate) const TABLE_HOSTS: u32 = 2;
/// `envoy.config.route.v3.VirtualHost.routes`
pub(crate) const HOST_ROUTES: u32 = 3;
/// `envoy.config.route.v3.RouteList.routes`
pub(crate) const LIST_ROUTES: u32 = 1;
/// `envoy.config.listener.v3.Listener.filter_chains`
pub(crate) const LISTENER_CHAINS: u32 = 3;

/// `envoy.config.route.v3.VirtualHost.matcher`
pub(crate) const HOST_MATCHER: u32 = 21;
/// `xds.type.matcher.v3.Matcher.matcher_tree`
pub(crate) const MATCHER_TREE: u32 = 2;
/// `xds.type.matcher.v3.Matcher.on_no_match`
pub(crate) const MATCHER_ELSE: u32 = 3;
/// `xds.type.matcher.v3.Matcher.MatcherTree.prefix_match_map`
pub(crate) const TREE_PREFIXES: u32 = 3;
/// `xds.type.matcher.v3.Matcher.MatcherTree.MatchMap.map`
pub(crate) const MAP_ENTRIES: u32 = 1;
/// The key of a map's entry, of any map.
pub(crate) const ENTRY_KEY: u32 = 1;
/// The value of a map's entry, of any map.
pub(crate) const ENTRY_VALUE: u32 = 2;

/// `xds.type.matcher.v3.Matcher.OnMatch.action`
pub(crate) const FOUND_ACTION: u32 = 2;
/// `xds.core.v3.TypedExtensionConfig.typed_config`
pub(crate) const EXTENSION_CONFIG: u32 = 2;
/// `google.protobuf.Any.value`
pub(crate) const ANY_VALUE: u32 = 2;

/// Length-delimited, the wire type of messages.
const LENGTH_DELIMITED: u32 = 2;

/// Appends a field that holds an encoded message, or text.
pub(crate) fn put_message(out: &mut Vec<u8>, field: u32, message: &[u8]) {
    put_header(out, field, message.len());
    out.extend_from_slice(message);
}

/// Appends what stands before a message of this length.
pub(crate) fn put_header(out: &mut Vec<u8>, field: u32, length: usize) {
    put_varint(out, u64::from(field << 3 | LENGTH_DELIMITED));
    put_varint(out, length as u64);
}

/// How many bytes a message of this length takes as a field.
pub(crate) fn size(field: u32, length: usize) -> usize {
    varint_size(u64::from(field << 3)) + varint_size(length as u64) + length
}

/// An upper bound of [`size`], for any field.
pub(crate) fn bound(length: usize) -> usize {
    length + 12
}

fn varint_size(number: u64) -> usize {
    // Seven bits a byte, and one byte for zero.
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use envoy::{
        Message, listener,
        route::{Route, RouteConfiguration, RouteList, VirtualHost},
    };

    use super::*;

    #[test]
    fn sizes_are_what_is_written() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            for field in [1, 15, 16, 21] {
                let mut out = Vec::new();
                put_message(&mut out, field, &vec![0; length]);
                assert_eq!(out.len(), size(field, length));
                assert!(out.len() <= bound(length));
            }
        }
    }

    #[test]
    fn appended_messages_are_the_lists_that_prost_reads() {
        // Longer than 127 bytes, so that its length takes two.
        let route = Route { name: "r".repeat(300), ..Route::default() };
        let mut bytes = VirtualHost { name: "h".to_owned(), ..VirtualHost::default() }.encode_to_vec();
        put_message(&mut bytes, HOST_ROUTES, &route.encode_to_vec());
        let host = VirtualHost::decode(bytes.as_slice()).unwrap();
        assert_eq!((host.name.as_str(), &host.routes), ("h", &vec![route.clone()]));

        let mut bytes = Vec::new();
        put_message(&mut bytes, TABLE_HOSTS, &host.encode_to_vec());
        put_message(&mut bytes, TABLE_HOSTS, &[]);
        assert_eq!(RouteConfiguration::decode(bytes.as_slice()).unwrap().virtual_hosts, [host, VirtualHost::default()]);

        let mut bytes = Vec::new();
        put_message(&mut bytes, LIST_ROUTES, &route.encode_to_vec());
        assert_eq!(RouteList::decode(bytes.as_slice()).unwrap().routes, [route]);

        let chain = listener::FilterChain { name: "c".to_owned(), ..Default::default() };
        let mut bytes = Vec::new();
        put_message(&mut bytes, LISTENER_CHAINS, &chain.encode_to_vec());
        assert_eq!(listener::Listener::decode(bytes.as_slice()).unwrap().filter_chains, [chain]);
    }
}
