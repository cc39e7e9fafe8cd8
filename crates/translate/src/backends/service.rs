//! Services, and ServiceImports, which are Services of a set of clusters (GEP-1748).

use std::borrow::Cow;

use api::{
    Resources, SliceOwner, Stored,
    ext::envoy_proxy::{IpFamily as ProxyIpFamily, RoutingType},
};
use ir::{
    Discovery, Endpoint, EndpointGroup, IpFamily, UpstreamProtocol,
    backend::{EndpointSource, Nearness},
};
use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};

use super::{Parts, Resolved, Scope, Usage, cluster, tls};
use crate::{grants::Referent, problem::Problem, rejections::rejection};

/// With the value `Auto`, hints of EndpointSlices say which zone each end point is for.
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";

/// Follows a reference to a port of a Service or ServiceImport.
pub(super) fn resolve(
    scope: Scope<'_>,
    to: Referent<'_>,
    owner: SliceOwner,
    port: Option<i32>,
    usage: Usage,
) -> Result<Resolved, Problem> {
    let name = format!("{} {}/{}", to.kind, to.namespace, to.name);
    let (spec, nearness) = found(scope, to, owner)?;
    if spec.type_.as_deref() == Some("ExternalName") {
        let message = format!("{name} is an ExternalName, which could name any host; use a Backend with an fqdn");
        return Err(Problem::new("UnsupportedValue", message));
    }
    let number = port.ok_or_else(|| Problem::new("UnsupportedValue", format!("{name} needs a port")))?;
    let not_found = || Problem::new("BackendNotFound", format!("{name} has no port {number}"));
    let port = find_port(&spec, number, usage).ok_or_else(not_found)?;
    let target = tls_target(scope, to, owner, port).filter(|_| !scope.passthrough);
    let speaks = protocol(port, usage)?;
    let Ok(tls) = tls::upstream(scope, target, speaks, None) else {
        return Ok(unusable(to, number, target));
    };
    let base = format!("{}/{}/{}/{number}", to.kind.to_ascii_lowercase(), to.namespace, to.name);
    let discovery = discovery(scope, to, owner, &spec, port, nearness);
    let (tls, secrets) = tls.map_or_else(Default::default, |(tls, secrets)| (Some(tls), secrets));
    let service = api::ObjectRef::new(to.group, to.kind, to.namespace, to.name);
    let sources = tls::sources(scope, target, service, tls.as_ref());
    Ok(Resolved {
        cluster: Some(cluster(Parts { base, discovery, protocol: speaks, tls, sources })),
        secrets,
        tls_target: target,
        fallback: false,
        authority: format!("{}.{}:{number}", to.name, to.namespace),
    })
}

/// What a Service says of itself, and which of its end points it wants to be used first, if it may be used.
fn found<'a>(
    scope: Scope<'a>,
    to: Referent<'_>,
    owner: SliceOwner,
) -> Result<(Cow<'a, ServiceSpec>, Option<Nearness>), Problem> {
    let missing =
        |what: &str| Problem::new("BackendNotFound", format!("{} {}/{} {what}", to.kind, to.namespace, to.name));
    let Resources { services, service_imports, .. } = scope.resources;
    let fleet = &*scope.fleet().name;
    let (refused, spec, mode) = match owner {
        SliceOwner::Service => {
            let service = services.get(to.namespace, to.name).ok_or_else(|| missing("does not exist"))?;
            let spec = service.spec.as_ref().ok_or_else(|| missing("has no spec"))?;
            (rejection(scope.resources, fleet, &**service), Cow::Borrowed(spec), service.annotation(TOPOLOGY_MODE))
        }
        SliceOwner::ServiceImport => {
            let import = service_imports.get(to.namespace, to.name).ok_or_else(|| missing("does not exist"))?;
            let spec = Cow::Owned(import.spec.as_service());
            (rejection(scope.resources, fleet, &**import), spec, import.annotation(TOPOLOGY_MODE))
        }
    };
    let nearness = nearness(mode, spec.traffic_distribution.as_deref());
    refused.map_or(Ok((spec, nearness)), Err)
}

/// Which end points are used first. `PreferSameNode` is the zone's, too: as kube-proxy has it where nobody is on the node
/// (KEP-3015), for an Envoy does not know nodes. Values that are new are none.
fn nearness(topology_mode: Option<&str>, distribution: Option<&str>) -> Option<Nearness> {
    match (topology_mode, distribution) {
        (Some("Auto" | "auto"), _) => Some(Nearness::Hints),
        (_, Some("PreferClose" | "PreferSameZone" | "PreferSameNode")) => Some(Nearness::Zone),
        _ => None,
    }
}

/// A Service whose TLS policy is broken: speaking to it without the check that was asked for would be worse.
fn unusable(to: Referent<'_>, port: i32, tls_target: Option<usize>) -> Resolved {
    let authority = format!("{}.{}:{port}", to.name, to.namespace);
    Resolved { cluster: None, secrets: Vec::new(), tls_target, fallback: false, authority }
}

fn tls_target(scope: Scope<'_>, to: Referent<'_>, owner: SliceOwner, port: &ServicePort) -> Option<usize> {
    let name = port.name.as_deref().unwrap_or_default();
    scope.plan.backend_tls.find(owner.group_kind().1, to.namespace, to.name, name)
}

/// The port of a Service that carries what is to be spoken.
fn find_port(spec: &ServiceSpec, number: i32, usage: Usage) -> Option<&ServicePort> {
    let transport = if usage == Usage::Udp { "UDP" } else { "TCP" };
    let mut ports = spec.ports.iter().flatten().filter(|port| port.port == number);
    ports.find(|port| port.protocol.as_deref().unwrap_or("TCP") == transport)
}

/// What is spoken: as the port's `appProtocol` says (KEP-3726), or else as the route needs it.
fn protocol(port: &ServicePort, usage: Usage) -> Result<UpstreamProtocol, Problem> {
    match usage {
        Usage::Tcp | Usage::Udp => Ok(UpstreamProtocol::Tcp),
        Usage::Grpc => Ok(UpstreamProtocol::Http2),
        Usage::Http => Ok(match port.app_protocol.as_deref() {
            Some("kubernetes.io/h2c") => UpstreamProtocol::Http2,
            _ => UpstreamProtocol::Http1,
        }),
    }
}

/// The Service's end points, or its own address where the Envoys are told to leave the choice to the Service.
fn discovery(
    scope: Scope<'_>,
    to: Referent<'_>,
    owner: SliceOwner,
    spec: &ServiceSpec,
    port: &ServicePort,
    nearness: Option<Nearness>,
) -> Discovery {
    let number = port.port;
    let proxy = &scope.fleet().proxy.spec;
    let family = proxy.ip_family.map(|family| match family {
        ProxyIpFamily::IPv4 => IpFamily::V4,
        ProxyIpFamily::IPv6 => IpFamily::V6,
        ProxyIpFamily::DualStack => IpFamily::Dual,
    });
    let own = if proxy.routing_type == Some(RoutingType::Service) { addresses(spec, number) } else { Vec::new() };
    let source = if own.is_empty() {
        EndpointSource::Slices {
            owner,
            namespace: to.namespace.to_owned(),
            name: to.name.to_owned(),
            port_name: port.name.clone().unwrap_or_default(),
            port: u16::try_from(number).unwrap_or_default(),
            family,
            nearness,
        }
    } else {
        EndpointSource::Fixed(own)
    };
    Discovery::Delivered(vec![EndpointGroup { source, weight: None, priority: 0 }])
}

/// The Service's own address; none for a headless one, whose end points are used all the same.
fn addresses(spec: &ServiceSpec, number: i32) -> Vec<Endpoint> {
    let address = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok());
    let port = u16::try_from(number).unwrap_or_default();
    address
        .map(|address| Endpoint::Ip { address, port, zone: None, hostname: None, draining: false })
        .into_iter()
        .collect()
}
