//! Back ends.

use std::{sync::Arc, time::Duration};

use api::{ObjectRef, SliceOwner};

use crate::{IpFamily, UpstreamTls};

/// The name of a [`Cluster`]: what it reaches, and a hash of the settings that differ from the usual.
pub type ClusterName = Arc<str>;

/// One back end and port with one way to speak to it. Shared by all rules that use it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its name, made from its content: a cluster of other content has another name, and is warm before a route uses it.
    pub name: ClusterName,
    /// How its end points are found.
    pub discovery: Discovery,
    /// The protocol spoken.
    pub protocol: UpstreamProtocol,
    /// TLS, if spoken.
    pub tls: Option<UpstreamTls>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// Whether end points that fail are left out for a while. Needed where another priority waits.
    pub ejects_failing: bool,
    /// What it was made from.
    pub sources: Vec<ObjectRef>,
}

/// How the end points of a cluster are found.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// From EndpointSlices and from Backends, delivered apart (EDS), see [`Endpoints`]. Several groups
    /// are one cluster where a weight or a priority must be chosen among their end points.
    Delivered(Vec<EndpointGroup>),
    /// By DNS, asked by Envoy.
    Dns {
        /// The names, asked anew as their records expire.
        endpoints: Vec<DnsEndpoint>,
        /// Which addresses are used; those of IPv6 only where a name has no others, unless set.
        family: Option<IpFamily>,
    },
    /// The host that the request names, by DNS (`Backend` of type `DynamicResolver`).
    Dynamic {
        /// Which records are asked for.
        family: IpFamily,
    },
}

/// End points that stand together.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointGroup {
    /// Where they are listed.
    pub source: EndpointSource,
    /// The share of requests against the other groups of the same priority; `None` where there is one group only.
    pub weight: Option<u32>,
    /// 0 is used first, 1 when 0 is down.
    pub priority: u32,
}

/// Where end points are listed.
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointSource {
    /// The EndpointSlices of a Service, or of a ServiceImport.
    Slices {
        /// Which of the two.
        owner: SliceOwner,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The name of its port (its EndpointSlices name their ports so), empty for an unnamed one.
        port_name: String,
        /// The number of its port.
        port: u16,
        /// Which end points are taken.
        family: Option<IpFamily>,
        /// By what those near to the Envoy are known, if they are to be used before others.
        nearness: Option<Nearness>,
    },
    /// Fixed addresses: a `Backend`, or a Service's own address.
    Fixed(Vec<Endpoint>),
}

/// By what the end points near to an Envoy are known: those that are meant for its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// The hints of EndpointSlices. Without them on every end point that is ready none is preferred.
    Hints,
    /// Hints, or else the zones that end points are in.
    Zone,
}

impl EndpointGroup {
    /// Whether those near to the Envoy are used before others. A weight is for all of a group.
    pub fn prefers_near(&self) -> bool {
        let is_near = matches!(self.source, EndpointSource::Slices { nearness: Some(_), .. });
        is_near && self.weight.is_none()
    }
}

/// The end points of a cluster, as they are now.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoints {
    /// The cluster.
    pub cluster: ClusterName,
    /// The groups of the cluster's [`Discovery::Delivered`], in its order.
    pub groups: Vec<EndpointsOfGroup>,
}

/// The end points of one [`EndpointGroup`], as they are now.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointsOfGroup {
    /// As in the group.
    pub weight: Option<u32>,
    /// As in the group.
    pub priority: u32,
    /// Sorted and without doubles.
    pub endpoints: Vec<Endpoint>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// IP and port.
    Ip {
        /// IPv4 or IPv6.
        address: std::net::IpAddr,
        /// The port.
        port: u16,
        /// The zone, where it is known; the one that it is meant for, where those near are preferred.
        zone: Option<String>,
        /// The host name that belongs to this end point, for TLS and rewriting.
        hostname: Option<String>,
        /// It finishes what it has and takes nothing new, unless nothing else is there.
        draining: bool,
    },
    /// A Unix socket on Envoy's machine.
    Unix {
        /// Its path.
        path: String,
        /// The zone, where it is known.
        zone: Option<String>,
        /// The host name that belongs to this end point, for TLS and rewriting.
        hostname: Option<String>,
    },
}

/// A DNS name and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsEndpoint {
    /// The name.
    pub hostname: String,
    /// The port.
    pub port: u16,
    /// The zone, where it is known.
    pub zone: Option<String>,
    /// 0 is used first, 1 when 0 is down.
    pub priority: u32,
    /// The share of requests against the others of the same priority.
    pub weight: Option<u32>,
}

/// The protocol spoken to a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpstreamProtocol {
    /// Bytes, or datagrams.
    Tcp,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, in clear where there is no TLS (`h2c`).
    Http2,
    /// HTTP/2 or HTTP/1.1, as TLS negotiates it.
    Negotiated,
}
