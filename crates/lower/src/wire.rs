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

/// Length-delimited, the wire type of messages.
const LENGTH_DELIMITED: u32 = 2;

/// Appends a field that holds an encoded message.
pub(crate) fn put_message(out: &mut Vec<u8>, field: u32, message: &[u8]) {
    put_varint(out, u64::from(field << 3 | LENGTH_DELIMITED));
    put_varint(out, message.len() as u64);
    out.extend_from_slice(message);
}

/// An upper bound of what [`put_message`] appends for a message of this length.
pub(crate) fn bound(length: usize) -> usize {
    length + 12
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
