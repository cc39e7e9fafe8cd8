//! Listeners: what each speaks, which routes it takes, and its TLS.

use std::collections::HashMap;

use api::{
    ObjectRef, Resources, RouteKind, Stored,
    gateway::{AllowedRoutes, GROUP, Gateway, Listener, RoutesFrom, TlsMode},
};
use ir::{DownstreamTls, tls::TlsParameters};

use super::{Fleet, GatewayPlan, ListenerPlan, Parent, Protocol, frontend};
use crate::{certificates::certificate, grants::Referrer, names, problem::Problem, selector::Namespaces, tls_options};

/// Who has a listener.
pub(super) struct Owner<'a> {
    pub(super) reference: ObjectRef,
    pub(super) referrer: Referrer<'a>,
    pub(super) gateway_index: usize,
    pub(super) gateway: &'a Gateway,
}

/// The listeners of all gateways themselves.
pub(super) fn of_gateways(
    resources: &Resources,
    fleets: &mut [Fleet],
    gateways: &mut [GatewayPlan],
    parents: &mut HashMap<ObjectRef, Parent>,
) -> Vec<ListenerPlan> {
    let mut listeners = Vec::new();
    for (index, plan) in gateways.iter().enumerate() {
        let gateway = &*plan.resource;
        let reference = gateway.reference();
        let owner =
            Owner { reference: reference.clone(), referrer: Referrer::of(gateway), gateway_index: index, gateway };
        let first = listeners.len();
        let own = gateway.spec.listeners.iter();
        listeners.extend(own.map(|item| listener(resources, &owner, item, plan.fleet, &mut fleets[plan.fleet])));
        let own = (first..listeners.len()).collect();
        let generation = gateway.generation();
        parents.insert(reference, Parent { gateway: index, listeners: own, listener_set: None, generation });
    }
    listeners
}

/// One listener, with its references followed.
pub(super) fn listener(
    resources: &Resources,
    owner: &Owner<'_>,
    listener: &Listener,
    fleet_index: usize,
    fleet: &mut Fleet,
) -> ListenerPlan {
    let protocol = protocol(listener);
    let mut plan = ListenerPlan {
        owner: owner.reference.clone(),
        gateway: owner.gateway_index,
        fleet: fleet_index,
        name: listener.name.clone(),
        port: u16::try_from(listener.port).ok().filter(|port| *port > 0),
        protocol: protocol.as_ref().ok().copied(),
        hostname: None,
        kinds: Vec::new(),
        namespaces: namespaces(listener.allowed_routes.as_ref()),
        tls: None,
        refused: protocol.as_ref().err().cloned().into_iter().collect(),
        unresolved: Vec::new(),
        conflict: None,
        overlap: None,
        servable: true,
        without_effect: None,
    };
    match tls_options::judge(listener.tls.as_ref().and_then(|tls| tls.options.as_ref()), "tls.options") {
        Ok(without_effect) => plan.without_effect = without_effect,
        Err(problem) => plan.refused.push(problem),
    }
    if plan.port.is_none() {
        plan.refused.push(Problem::new("PortUnavailable", format!("{} is not a port; use 1 to 65535", listener.port)));
    }
    let Ok(protocol) = protocol else { return plan };
    if protocol.is_http() || protocol.is_tls() {
        plan.hostname = names::normalize(listener.hostname.as_deref());
    }
    (plan.kinds, plan.unresolved) = kinds(protocol, listener.allowed_routes.as_ref());
    if matches!(protocol, Protocol::Https | Protocol::TlsTerminate) {
        terminate(resources, owner, listener, protocol, &mut plan, fleet);
    }
    plan
}

/// What a listener speaks.
fn protocol(listener: &Listener) -> Result<Protocol, Problem> {
    let mode = listener.tls.as_ref().map(|tls| tls.mode.as_ref().unwrap_or(&TlsMode::Terminate));
    let value = |message: &str| Problem::new("UnsupportedValue", message);
    match (listener.protocol.as_str(), mode) {
        ("HTTP" | "TCP" | "UDP", Some(_)) => Err(value(&format!(
            "a listener of protocol {} has no tls; remove it, or use HTTPS or TLS",
            listener.protocol
        ))),
        ("HTTP", None) => Ok(Protocol::Http),
        ("TCP", None) => Ok(Protocol::Tcp),
        ("UDP", None) => Ok(Protocol::Udp),
        ("HTTPS" | "TLS", None) => Err(value("a listener that speaks TLS needs tls")),
        ("HTTPS", Some(TlsMode::Passthrough)) => Err(value("tls.mode Passthrough needs protocol TLS")),
        ("HTTPS", Some(TlsMode::Terminate)) => Ok(Protocol::Https),
        ("TLS", Some(TlsMode::Terminate)) => Ok(Protocol::TlsTerminate),
        ("TLS", Some(TlsMode::Passthrough)) => Ok(Protocol::TlsPassthrough),
        (other, _) => Err(Problem::new(
            "UnsupportedProtocol",
            format!("protocol {other} is not spoken; use HTTP, HTTPS, TLS, TCP or UDP"),
        )),
    }
}

/// The kinds of routes that a protocol can carry.
fn carried(protocol: Protocol) -> &'static [RouteKind] {
    match protocol {
        Protocol::Http | Protocol::Https => &[RouteKind::Http, RouteKind::Grpc],
        // A TCPRoute takes what is left once TLS is taken off.
        Protocol::TlsTerminate => &[RouteKind::Tls, RouteKind::Tcp],
        Protocol::TlsPassthrough => &[RouteKind::Tls],
        Protocol::Tcp => &[RouteKind::Tcp],
        Protocol::Udp => &[RouteKind::Udp],
    }
}

/// The kinds of routes that a listener takes, and those it names that it cannot.
fn kinds(protocol: Protocol, allowed: Option<&AllowedRoutes>) -> (Vec<RouteKind>, Vec<Problem>) {
    let wanted = allowed.and_then(|allowed| allowed.kinds.as_deref()).unwrap_or_default();
    if wanted.is_empty() {
        return (carried(protocol).to_vec(), Vec::new());
    }
    let mut kinds = Vec::new();
    let mut problems = Vec::new();
    for item in wanted {
        let known = RouteKind::parse(&item.kind).filter(|_| item.group.as_deref().unwrap_or(GROUP) == GROUP);
        match known.filter(|kind| carried(protocol).contains(kind)) {
            Some(kind) => kinds.push(kind),
            None => {
                let can: Vec<_> = carried(protocol).iter().map(|kind| kind.as_str()).collect();
                let message = format!(
                    "routes of kind {} cannot be served here; this protocol takes {}",
                    item.kind,
                    can.join(", ")
                );
                problems.push(Problem::new("InvalidRouteKinds", message));
            }
        }
    }
    (kinds, problems)
}

/// The namespaces that a listener takes routes from.
fn namespaces(allowed: Option<&AllowedRoutes>) -> Namespaces {
    let Some(namespaces) = allowed.and_then(|allowed| allowed.namespaces.as_ref()) else { return Namespaces::Same };
    match namespaces.from {
        None | Some(RoutesFrom::Same) => Namespaces::Same,
        Some(RoutesFrom::All) => Namespaces::All,
        Some(RoutesFrom::Selector) => Namespaces::selected(namespaces.selector.as_ref()),
    }
}

/// Follows the references of a listener that terminates TLS. Certificates that don't resolve are left out, the rest
/// is served; without any there is nothing to serve with.
fn terminate(
    resources: &Resources,
    owner: &Owner<'_>,
    listener: &Listener,
    protocol: Protocol,
    plan: &mut ListenerPlan,
    fleet: &mut Fleet,
) {
    let references = listener.tls.as_ref().and_then(|tls| tls.certificate_refs.as_deref()).unwrap_or_default();
    if references.is_empty() {
        plan.unresolved.push(Problem::new("InvalidCertificateRef", "tls.certificateRefs is empty; name a Secret"));
    }
    let mut certificates = Vec::new();
    for reference in references {
        match certificate(resources, owner.referrer, reference, "InvalidCertificateRef") {
            Ok(secret) => {
                certificates.push(secret.name.clone());
                fleet.secrets.insert(secret.name.clone(), secret);
            }
            Err(problem) => plan.unresolved.push(problem),
        }
    }
    plan.servable = !certificates.is_empty();
    let mut tls = DownstreamTls {
        certificates,
        client_authorities: Vec::new(),
        client_certificate_optional: false,
        alpn: match protocol {
            Protocol::Https => vec!["h2".to_owned(), "http/1.1".to_owned()],
            _ => Vec::new(),
        },
        parameters: TlsParameters::default(),
    };
    if protocol == Protocol::Https {
        frontend::validation(resources, owner.gateway, listener.port, &mut tls, plan, fleet);
    }
    plan.tls = Some(tls);
}
