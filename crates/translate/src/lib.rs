//! Gateway API semantics: attachment, grants, precedence, merging, resolution.
//!
//! ```text
//! Resources ──▶ classes ──▶ gateways, listeners ──▶ routes (attach, match, resolve back ends) ──▶ tables ──▶ ir::Gateway
//!                  └────────────┴──────────────────────┴── policies ──▶ Reports
//! ```
//!
//! Everything here is pure: no clock, network, file, environment or async. The same resources give the same result,
//! whatever was translated before; what is remembered ([`Translator`]) only saves work.

pub mod report;

use std::sync::Arc;

use api::{Resources, ext::envoy_proxy::EnvoyProxySpec};

pub use report::{Reports, Report};

/// What the controller's own configuration decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Classes with this name are ours.
    pub controller_name: String,
    /// Whether `Backend` resources may be used (`extensionApis.enableBackend`).
    pub enable_backend: bool,
    /// Settings of Envoys whose class and Gateway name none.
    pub default_proxy: Option<Arc<EnvoyProxySpec>>,
    /// The addresses at which Envoys can be reached: the host's in standalone mode. Empty when unknown.
    pub addresses: Vec<std::net::IpAddr>,
}

/// What became of the resources.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The fleets, ordered by name. An unchanged one is the same `Arc` as the time before.
    pub gateways: Vec<Arc<ir::Gateway>>,
    /// What is to be said of each resource.
    pub reports: Reports,
}

/// Translates, and remembers what a change did not touch.
#[derive(Debug)]
pub struct Translator {
    options: Options,
}

impl Translator {
    /// Nothing is remembered yet.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Translates all resources.
    pub fn translate(&mut self, resources: &Resources) -> Translation {
        let _ = (&self.options, resources);
        Translation::default()
    }
}

/// The end points of a cluster, as they are now: the short way, apart from translation.
pub fn endpoints(resources: &Resources, cluster: &ir::Cluster) -> ir::Endpoints {
    let _ = resources;
    ir::Endpoints { cluster: Arc::clone(&cluster.name), groups: Vec::new() }
}
