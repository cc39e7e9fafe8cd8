//! What is the same for all resources of a fleet.

use std::collections::{BTreeMap, BTreeSet};

use ir::{
    Gateway, IpFamily,
    api::ext::envoy_proxy::{metrics::Metrics, telemetry::Telemetry},
};

use crate::{access_log, ports::bound_ports, route::RouteOptions, settings::Settings};

/// What is the same for all resources of a fleet.
pub(crate) struct Scope<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) settings: &'a Settings,
    /// The ways in which hosts that requests name are looked up.
    pub(crate) dynamic_families: BTreeSet<IpFamily>,
    ports: BTreeMap<u16, u16>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(gateway: &'a Gateway, settings: &'a Settings, dynamic_families: BTreeSet<IpFamily>) -> Self {
        let ports = bound_ports(gateway, settings.in_pod);
        Self { gateway, settings, dynamic_families, ports }
    }

    /// The port that Envoy binds for a listener's.
    pub(crate) fn bound(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }

    pub(crate) fn telemetry(&self) -> Option<&'a Telemetry> {
        self.gateway.proxy.telemetry.as_ref()
    }

    pub(crate) fn metrics(&self) -> Option<&'a Metrics> {
        self.telemetry()?.metrics.as_ref()
    }

    /// What the encoding of routes depends on.
    pub(crate) fn route_options(&self) -> RouteOptions {
        RouteOptions {
            metadata: access_log::reads_route_metadata(self),
            objectives: access_log::tells_objectives(self),
        }
    }
}
