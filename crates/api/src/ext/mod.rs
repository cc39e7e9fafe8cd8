//! The extension resources of `gateway.envoyproxy.io/v1alpha1`: one module a kind, one file a feature.
//!
//! A type here is the source of three things: how a document is read, the CRD that a cluster gets, and the offline
//! check of [`crate::rules`]. Only what is implemented is declared; any other field is told to its author as unknown.

// `KubeSchema` repeats a struct inside of a function, with its `pub`.
#![allow(unreachable_pub)]

pub mod backend;
pub mod backend_traffic_policy;
pub mod common;
mod crd;
pub mod duration;
pub mod envoy_extension_policy;
pub mod envoy_proxy;
pub mod http_route_filter;
pub mod policy;
pub mod quantity;
pub mod security_policy;
pub mod tls;

pub use backend::{Backend, BackendSpec};
pub use backend_traffic_policy::{BackendTrafficPolicy, BackendTrafficPolicySpec};
pub use crd::{crd, crds};
pub use duration::Duration;
pub use envoy_extension_policy::{EnvoyExtensionPolicy, EnvoyExtensionPolicySpec};
pub use envoy_proxy::{EnvoyProxy, EnvoyProxySpec};
pub use http_route_filter::{HttpRouteFilter, HttpRouteFilterSpec};
pub use policy::{MergeType, PolicySpec, PolicyTargetRef, TargetSelector};
pub use quantity::Quantity;
pub use security_policy::{SecurityPolicy, SecurityPolicySpec};

/// The API group of the extension resources.
pub const GROUP: &str = "gateway.envoyproxy.io";

/// The version of the extension resources.
pub const VERSION: &str = "v1alpha1";
