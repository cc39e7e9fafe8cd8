//! Packing messages into `Any`, and the small conversions that go with it.

use prost::{DecodeError, Message, Name};

use crate::{Any, core, type_url};

/// Packs a message, under the type URL that Envoy expects.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: type_url::of::<M>(), value: message.encode_to_vec() }
}

/// Unpacks a message when it is of type `M`; `None` when it is of another.
///
/// # Errors
/// The bytes are no such message.
pub fn unpack<M: Message + Name + Default>(any: &Any) -> Option<Result<M, DecodeError>> {
    (type_url::message_name(&any.type_url) == M::full_name()).then(|| M::decode(any.value.as_slice()))
}

/// An extension's configuration under a name, as most extension points take it.
pub fn extension<M: Message + Name>(name: impl Into<String>, config: &M) -> core::TypedExtensionConfig {
    core::TypedExtensionConfig { name: name.into(), typed_config: Some(any(config)) }
}

/// A span of time in protobuf's form; more than protobuf holds (290 billion years) becomes the longest it holds.
pub fn duration(span: std::time::Duration) -> prost_types::Duration {
    // The number of nanoseconds below a second always fits.
    let nanos = i32::try_from(span.subsec_nanos()).unwrap_or(i32::MAX);
    prost_types::Duration { seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), nanos }
}

/// A host and its TCP port.
pub fn socket_address(host: &str, port: u16) -> core::Address {
    let socket = core::SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
        ..core::SocketAddress::default()
    };
    core::Address { address: Some(core::address::Address::SocketAddress(socket)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    #[test]
    fn what_is_packed_unpacks_as_itself_only() {
        let route = Route { name: "r".to_owned(), ..Route::default() };
        let packed = any(&route);
        assert_eq!(packed.type_url, "type.googleapis.com/envoy.config.route.v3.Route");
        assert_eq!(unpack::<Route>(&packed), Some(Ok(route)));
        assert_eq!(unpack::<crate::cluster::Cluster>(&packed), None);
    }

    #[test]
    fn durations_keep_their_nanoseconds() {
        let span = std::time::Duration::new(3, 500_000_001);
        assert_eq!(duration(span), prost_types::Duration { seconds: 3, nanos: 500_000_001 });
    }
}
