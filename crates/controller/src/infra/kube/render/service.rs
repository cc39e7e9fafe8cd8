//! The Service in front of the Envoys.

use std::collections::{BTreeMap, BTreeSet};

use api::ext::envoy_proxy::{
    IpFamily,
    provider::kubernetes::{EnvoyService, ExternalTrafficPolicy, ServiceType},
};
use ir::{Protocol, Transport};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Fleet, names::Place};

/// A port that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerPort {
    /// `https-443`
    pub(super) name: String,
    /// `TCP` or `UDP`.
    pub(super) protocol: &'static str,
    /// The listener's port.
    pub(super) port: u16,
    /// The port that Envoy binds.
    pub(super) bound: u16,
}

/// The fleet's Service. Without a port there is none: nobody could connect.
pub(super) fn service(fleet: &Fleet<'_>, place: &Place) -> Option<Service> {
    let ports = listener_ports(fleet);
    let wanted = fleet.kubernetes().and_then(|kubernetes| kubernetes.envoy_service.clone()).unwrap_or_default();
    let (families, policy) = families(fleet);
    let outside = wanted.r#type != ServiceType::ClusterIP;
    let balanced = wanted.r#type == ServiceType::LoadBalancer;
    let spec = ServiceSpec {
        type_: Some(type_name(wanted.r#type).to_owned()),
        selector: Some(place.selector.clone()),
        ports: Some(ports.iter().map(service_port).collect()),
        ip_families: families,
        ip_family_policy: policy,
        external_ips: fixed_addresses(fleet),
        external_traffic_policy: outside.then(|| policy_name(wanted.external_traffic_policy).to_owned()),
        load_balancer_class: wanted.load_balancer_class.clone().filter(|_| balanced),
        load_balancer_ip: wanted.load_balancer_ip.clone().filter(|_| balanced),
        load_balancer_source_ranges: source_ranges(&wanted).filter(|_| balanced),
        allocate_load_balancer_node_ports: wanted.allocate_load_balancer_node_ports.filter(|_| balanced),
        ..ServiceSpec::default()
    };
    let metadata = place.meta(wanted.name.as_ref(), &wanted.labels, &wanted.annotations);
    (!ports.is_empty()).then(|| Service { metadata, spec: Some(spec), ..Service::default() })
}

fn type_name(kind: ServiceType) -> &'static str {
    match kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::NodePort => "NodePort",
    }
}

fn policy_name(policy: ExternalTrafficPolicy) -> &'static str {
    match policy {
        ExternalTrafficPolicy::Local => "Local",
        ExternalTrafficPolicy::Cluster => "Cluster",
    }
}

fn source_ranges(wanted: &EnvoyService) -> Option<Vec<String>> {
    let ranges = &wanted.load_balancer_source_ranges;
    (!ranges.is_empty()).then(|| ranges.clone())
}

/// Both families where the cluster has both. Where nothing is said the cluster decides.
fn families(fleet: &Fleet<'_>) -> (Option<Vec<String>>, Option<String>) {
    let single = |family: &str| (Some(vec![family.to_owned()]), Some("SingleStack".to_owned()));
    match fleet.gateway.proxy.ip_family {
        None => (None, None),
        Some(IpFamily::IPv4) => single("IPv4"),
        Some(IpFamily::IPv6) => single("IPv6"),
        Some(IpFamily::DualStack) => (None, Some("PreferDualStack".to_owned())),
    }
}

/// The IP addresses that the Gateways ask for.
fn fixed_addresses(fleet: &Fleet<'_>) -> Option<Vec<String>> {
    let asked = fleet.gateways.iter().flat_map(|gateway| gateway.spec.addresses.iter().flatten());
    let ips = asked.filter(|address| address.r#type.as_deref().is_none_or(|kind| kind == "IPAddress"));
    let ips: BTreeSet<String> = ips.filter_map(|ip| ip.value.clone()).filter(|ip| !ip.is_empty()).collect();
    (!ips.is_empty()).then(|| ips.into_iter().collect())
}

fn service_port(port: &ListenerPort) -> ServicePort {
    ServicePort {
        name: Some(port.name.clone()),
        protocol: Some(port.protocol.to_owned()),
        port: port.port.into(),
        target_port: Some(IntOrString::Int(port.bound.into())),
        ..ServicePort::default()
    }
}

/// The ports of all listeners, those that nothing is served on yet too: a Service whose ports come and go with routes and
/// certificates would lose its load balancer.
pub(super) fn listener_ports(fleet: &Fleet<'_>) -> Vec<ListenerPort> {
    let bound = lower::bound_ports(fleet.gateway, true);
    let mut ports = BTreeMap::new();
    for listener in &fleet.gateway.listeners {
        let (protocol, speaks) = speaks(&listener.transport);
        let bound = bound.get(&listener.port).copied().unwrap_or(listener.port);
        ports.insert((listener.port, protocol), ListenerPort::new(speaks, protocol, listener.port, bound));
    }
    let taken: BTreeSet<u16> = bound.values().copied().collect();
    for listener in fleet.gateways.iter().flat_map(|gateway| &gateway.spec.listeners) {
        let speaks = listener.protocol.to_ascii_lowercase();
        let protocol = match &*speaks {
            "http" | "https" | "tls" | "tcp" => "TCP",
            "udp" => "UDP",
            _ => continue,
        };
        let Ok(port @ 1..) = u16::try_from(listener.port) else { continue };
        // Nobody listens there: it must only not lead to another listener.
        if !taken.contains(&port) {
            ports.entry((port, protocol)).or_insert_with(|| ListenerPort::new(&speaks, protocol, port, port));
        }
    }
    ports.into_values().collect()
}

impl ListenerPort {
    fn new(speaks: &str, protocol: &'static str, port: u16, bound: u16) -> Self {
        Self { name: format!("{speaks}-{port}"), protocol, port, bound }
    }
}

/// The protocol of a socket, and the one that is spoken on it.
fn speaks(transport: &Transport) -> (&'static str, &'static str) {
    let chains = match transport {
        Transport::Udp(_) => return ("UDP", "udp"),
        Transport::Tcp(chains) => chains,
    };
    let http = chains.iter().any(|chain| matches!(chain.protocol, Protocol::Http(_)));
    let tls = chains.iter().any(|chain| chain.matches_tls);
    let speaks = match (http, tls) {
        (true, true) => "https",
        (true, false) => "http",
        (false, true) => "tls",
        (false, false) => "tcp",
    };
    ("TCP", speaks)
}
