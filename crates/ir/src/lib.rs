//! The resolved gateway: what Gateway API resources mean, with every reference followed, as plain data.
//!
//! ```text
//! Gateway ─┬─ Listener (a socket) ── FilterChain (a server name) ─┬─ HttpChain ── RouteTable ── VirtualHost ── Route
//!          │                                                       └─ TcpProxy ─── WeightedCluster
//!          ├─ Cluster (a back end and port, shared by all rules that use it)
//!          └─ Secret (a certificate, a CA)
//! ```
//!
//! `translate` makes it, `lower` turns it into Envoy resources. Nothing here knows Kubernetes lookups or Envoy's
//! protobuf types. What is big and changes seldom is behind an `Arc`, so that an unchanged part compares by pointer.

pub mod backend;
pub mod features;
pub mod gateway;
pub mod listener;
pub mod names;
pub mod route;
pub mod tls;

pub use backend::{Cluster, ClusterName, Discovery, DnsEndpoint, Endpoint, EndpointGroup, Endpoints, UpstreamProtocol};
pub use features::Features;
pub use gateway::{Gateway, Telemetry};
pub use listener::{FilterChain, HttpChain, IpFamily, Listener, Protocol, TcpProxy, Transport, UdpProxy};
pub use route::{Action, Forward, Matcher, Route, RouteTable, Source, VirtualHost, WeightedCluster};
pub use tls::{DownstreamTls, Secret, SecretMaterial, SecretName, UpstreamTls};

/// The resource types, some of which travel in features and settings as they are.
pub use api;
