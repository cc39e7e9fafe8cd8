//! Gateway API semantics: attachment, grants, precedence, merging, resolution.
//!
//! ```text
//! Resources ──▶ classes ──▶ gateways, listeners ──▶ routes (attach, match, resolve back ends) ──▶ tables ──▶ ir::Gateway
//!                  └────────────┴──────────────────────┴── policies ──▶ Reports
//! ```
//!
//! Everything here is pure: no clock, network, file, environment or async. The same resources give the same result,
//! whatever was translated before; what is remembered ([`Translator`]) only saves work.

mod assemble;
mod backend_tls;
mod backends;
mod certificates;
mod durations;
mod endpoints;
mod features;
mod grants;
mod names;
mod plan;
mod policies;
mod problem;
mod rejections;
pub mod report;
mod routes;
mod rules;
mod secrets;
mod selector;
mod shared;
mod sockets;
mod standing;
mod status;
mod tables;
mod telemetry;
mod tls_options;
mod translator;
mod usage;

use std::{collections::BTreeSet, sync::Arc};

use api::ext::envoy_proxy::EnvoyProxySpec;

pub use endpoints::{EndpointIndex, endpoints};
pub use policies::SINGLE_SIGN_ON_CLUSTER;
pub use report::{Changed, Report, Reports};
pub use translator::Translator;

/// What the controller's own configuration decides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Classes with this name are ours.
    pub controller_name: String,
    /// Whether `Backend` resources may be used (`extensionApis.enableBackend`).
    pub enable_backend: bool,
    /// Whether Envoys run in pods of their own, where nothing but they themselves is behind a loopback address.
    pub in_pod: bool,
    /// Settings of Envoys whose class and Gateway name none.
    pub default_proxy: Option<Arc<EnvoyProxySpec>>,
    /// The addresses at which Envoys can be reached: the host's in standalone mode. Empty when unknown.
    pub addresses: Vec<std::net::IpAddr>,
    /// The rate limit service, if there is one.
    pub rate_limit_service: Option<ServiceAddress>,
    /// The single sign-on service, if there is one.
    pub single_sign_on: Option<ServiceAddress>,
    /// Whether it serves policies that do not name it (`singleSignOn.policies`), too.
    pub serves_all_logins: bool,
    /// Whether Envoys can be started with what an `EnvoyProxy` makes of their bootstrap; not asked when `None`.
    pub check_bootstrap: Option<CheckBootstrap>,
}

/// Where one of the services is that Envoys ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name in its certificate, where it and Envoys know each other by the controller's authority; else plain text.
    pub certified_name: Option<String>,
}

/// Says why the Envoys of a fleet cannot be started. It is asked with a fleet that has no listeners yet.
pub type CheckBootstrap = fn(&ir::Gateway) -> Result<(), String>;

/// What became of the resources.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The fleets, ordered by name. An unchanged one is the same `Arc` as the time before.
    pub gateways: Vec<Arc<ir::Gateway>>,
    /// The names of fleets of which nobody can say what they are to be, as their settings are not there or cannot be read. If
    /// they are there, they stay as they are.
    pub staying: BTreeSet<Arc<str>>,
    /// What is to be said of each resource.
    pub reports: Reports,
    /// Where that is something else than the time before.
    pub changed: Changed,
}
