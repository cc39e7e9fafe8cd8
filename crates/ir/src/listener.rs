//! Sockets, and what is served on them.

use std::sync::Arc;

use api::ObjectRef;

use crate::{DownstreamTls, RouteTable, WeightedCluster};

/// One socket of an Envoy: all Gateway listeners of one port and transport.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// `tcp-443` or `udp-53`.
    pub name: Arc<str>,
    /// The port, 1 to 65535.
    pub port: u16,
    /// The addresses to bind.
    pub family: IpFamily,
    /// What speaks on it.
    pub transport: Transport,
    /// The Gateways and ListenerSets that have a listener here.
    pub sources: Vec<ObjectRef>,
}

/// Which IP versions a socket is bound to, or a back end is reached by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpFamily {
    /// IPv4 only.
    #[default]
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

/// TCP sockets choose a chain by server name, UDP sockets have one target.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// The chains; at most one has no server names.
    Tcp(Vec<FilterChain>),
    /// Datagrams are forwarded by session.
    Udp(UdpProxy),
}

/// What is done with a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterChain {
    /// `namespace/gateway/listener` of the Gateway listener it serves; TLS routes add their own name.
    pub name: Arc<str>,
    /// The server names (SNI) that choose this chain: `a.example.com`, `*.example.com`. Empty: what no other chain takes.
    pub server_names: Vec<String>,
    /// Whether the chain is chosen by TLS at all. A chain without TLS termination on a TLS socket passes it through.
    pub matches_tls: bool,
    /// How TLS is terminated, if it is.
    pub tls: Option<DownstreamTls>,
    /// What speaks inside.
    pub protocol: Protocol,
}

/// What speaks inside of a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2.
    Http(HttpChain),
    /// Bytes.
    Tcp(TcpProxy),
}

/// HTTP on a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpChain {
    /// The routes.
    pub routes: Arc<RouteTable>,
}

/// Bytes to one of several clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpProxy {
    /// The name for statistics and logs: `tlsroute/namespace/name`.
    pub name: Arc<str>,
    /// Where connections go, by weight. Empty: they are closed at once.
    pub clusters: Vec<WeightedCluster>,
}

/// Datagrams to one of several clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct UdpProxy {
    /// The name for statistics and logs: `udproute/namespace/name`.
    pub name: Arc<str>,
    /// Where sessions go, by weight. Empty: they are dropped.
    pub clusters: Vec<WeightedCluster>,
}
