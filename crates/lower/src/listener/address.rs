//! What a socket is bound to.

use envoy::{
    core::{
        Address, SocketAddress,
        socket_address::{PortSpecifier, Protocol},
    },
    listener::AdditionalAddress,
};
use ir::{IpFamily, Listener, Transport};

use crate::convert::address_of;

/// The address, and further ones. `port` is the one that is bound.
pub(super) fn bind(listener: &Listener, port: u16) -> (Address, Vec<AdditionalAddress>) {
    let protocol = match listener.transport {
        Transport::Tcp(_) => Protocol::Tcp,
        Transport::Udp(_) => Protocol::Udp,
    };
    let any = |address: &str, ipv4_compat| {
        address_of(SocketAddress {
            protocol: protocol.into(),
            address: address.to_owned(),
            // `::` with IPv4 clients too, as IPv4-mapped addresses.
            ipv4_compat,
            port_specifier: Some(PortSpecifier::PortValue(port.into())),
            ..Default::default()
        })
    };
    let address = match listener.family {
        IpFamily::V4 => any("0.0.0.0", false),
        IpFamily::V6 => any("::", false),
        IpFamily::Dual => any("::", true),
    };
    (address, Vec::new())
}
