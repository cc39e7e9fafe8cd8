//! `Backend` resources: addresses, names, sockets, or whatever host the request names.

use std::net::IpAddr;

use api::{
    Stored,
    ext::{
        Backend,
        backend::{AppProtocol, BackendEndpoint, BackendType},
        envoy_proxy::IpFamily as ProxyIpFamily,
    },
};
use ir::{Discovery, DnsEndpoint, Endpoint, EndpointGroup, IpFamily, UpstreamProtocol, backend::EndpointSource};

use super::{Parts, Resolved, Scope, Usage, cluster, tls};
use crate::{Options, grants::Referent, problem::Problem, rejections::rejection};

/// Follows a reference to a Backend.
pub(super) fn resolve(scope: Scope<'_>, to: Referent<'_>, usage: Usage) -> Result<Resolved, Problem> {
    let name = format!("Backend {}/{}", to.namespace, to.name);
    if !scope.options.enable_backend {
        let message =
            format!("{name} cannot be used: extensionApis.enableBackend is off in the controller's configuration");
        return Err(Problem::new("UnsupportedValue", message));
    }
    let backend = scope.resources.backends.get(to.namespace, to.name);
    let backend = backend.ok_or_else(|| Problem::new("BackendNotFound", format!("{name} does not exist")))?;
    if let Some(problem) = rejection(scope.resources, &scope.fleet().name, &**backend) {
        return Err(problem);
    }
    let discovery = discovery(scope, backend)?;
    let speaks = protocol(backend, usage);
    let target = scope.plan.backend_tls.find(Backend::KIND, to.namespace, to.name, "").filter(|_| !scope.passthrough);
    let fallback = backend.spec.fallback.unwrap_or_default();
    let authority = authority(backend);
    let (tls, secrets) = match tls::upstream(scope, target, speaks, Some(&**backend).filter(|_| !scope.passthrough)) {
        Ok(found) => found.map_or_else(Default::default, |(tls, secrets)| (Some(tls), secrets)),
        Err(_) if target.is_some() => {
            return Ok(Resolved { cluster: None, secrets: Vec::new(), tls_target: target, fallback, authority });
        }
        Err(problem) => return Err(problem),
    };
    let base = format!("backend/{}/{}", to.namespace, to.name);
    let sources = tls::sources(scope, target, backend.reference(), tls.as_ref());
    let cluster = cluster(Parts { base, discovery, protocol: speaks, tls, sources });
    Ok(Resolved { cluster: Some(cluster), secrets, tls_target: target, fallback, authority })
}

/// What is wrong with a Backend itself, whoever refers to it.
pub(crate) fn problem(options: &Options, backend: &Backend) -> Option<Problem> {
    let endpoints = &backend.spec.endpoints;
    let names = endpoints.iter().filter(|endpoint| endpoint.fqdn.is_some()).count();
    let message = if backend.spec.r#type == BackendType::DynamicResolver {
        (!endpoints.is_empty()).then(|| "a DynamicResolver takes the host of each request: remove endpoints".to_owned())
    } else if endpoints.is_empty() {
        Some("it has no endpoints".to_owned())
    } else if names > 0 && names < endpoints.len() {
        Some("endpoints by fqdn cannot stand beside endpoints by ip or unix: make two Backends".to_owned())
    } else {
        endpoints.iter().enumerate().find_map(|(index, endpoint)| {
            let problem = end_point_problem(options, endpoint)?;
            Some(format!("endpoints[{index}] {problem}"))
        })
    };
    message.map(|message| {
        Problem::new("Invalid", format!("Backend {}/{}: {message}", backend.namespace(), backend.name()))
    })
}

/// What is wrong with an end point.
fn end_point_problem(options: &Options, endpoint: &BackendEndpoint) -> Option<&'static str> {
    let own = match (fixed(endpoint), dns(endpoint)) {
        (None, None) => return Some("is not an address with a port, a name with a port, or a socket"),
        (Some(Endpoint::Ip { address, .. }), _) => is_own(address),
        (_, Some(name)) => is_local(&name.hostname),
        (Some(Endpoint::Unix { .. }), None) => false,
    };
    (own && options.in_pod).then_some("leads into Envoy's own pod, where only its admin interface listens")
}

/// Whether an address leads to whoever connects to it.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

/// Whether a name stands for whoever asks for it (RFC 6761).
fn is_local(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn discovery(scope: Scope<'_>, backend: &Backend) -> Result<Discovery, Problem> {
    if let Some(problem) = problem(scope.options, backend) {
        return Err(Problem::new("UnsupportedValue", problem.message));
    }
    let family = scope.fleet().proxy.spec.ip_family.map(|family| match family {
        ProxyIpFamily::DualStack => IpFamily::Dual,
        ProxyIpFamily::IPv4 => IpFamily::V4,
        ProxyIpFamily::IPv6 => IpFamily::V6,
    });
    if backend.spec.r#type == BackendType::DynamicResolver {
        return Ok(Discovery::Dynamic { family: family.unwrap_or(IpFamily::Dual) });
    }
    let names: Vec<_> = backend.spec.endpoints.iter().filter_map(dns).collect();
    if !names.is_empty() {
        return Ok(Discovery::Dns { endpoints: names, family });
    }
    let source = EndpointSource::Fixed(backend.spec.endpoints.iter().filter_map(fixed).collect());
    Ok(Discovery::Delivered(vec![EndpointGroup { source, weight: None, priority: 0 }]))
}

/// An end point by address or socket.
fn fixed(endpoint: &BackendEndpoint) -> Option<Endpoint> {
    if let Some(unix) = &endpoint.unix {
        let (zone, hostname) = (endpoint.zone.clone(), endpoint.hostname.clone());
        return Some(Endpoint::Unix { path: unix.path.clone(), zone, hostname });
    }
    let ip = endpoint.ip.as_ref()?;
    Some(Endpoint::Ip {
        address: ip.address.parse().ok()?,
        port: u16::try_from(ip.port).ok()?,
        zone: endpoint.zone.clone(),
        hostname: endpoint.hostname.clone(),
        draining: false,
    })
}

/// An end point by name.
fn dns(endpoint: &BackendEndpoint) -> Option<DnsEndpoint> {
    let fqdn = endpoint.fqdn.as_ref()?;
    Some(DnsEndpoint {
        hostname: fqdn.hostname.trim_end_matches('.').to_owned(),
        port: u16::try_from(fqdn.port).ok()?,
        zone: endpoint.zone.clone(),
        priority: 0,
        weight: None,
    })
}

fn protocol(backend: &Backend, usage: Usage) -> UpstreamProtocol {
    match usage {
        Usage::Tcp | Usage::Udp => UpstreamProtocol::Tcp,
        Usage::Grpc => UpstreamProtocol::Http2,
        Usage::Http if backend.spec.app_protocols.contains(&AppProtocol::H2c) => UpstreamProtocol::Http2,
        Usage::Http => UpstreamProtocol::Http1,
    }
}

/// The first name there is, for a `Host` of our own.
fn authority(backend: &Backend) -> String {
    let named = backend.spec.endpoints.iter().find_map(|endpoint| {
        let fqdn = endpoint.fqdn.as_ref().map(|fqdn| format!("{}:{}", fqdn.hostname.trim_end_matches('.'), fqdn.port));
        fqdn.or_else(|| endpoint.hostname.clone())
    });
    named.unwrap_or_else(|| format!("{}.{}", backend.name(), backend.namespace()))
}
