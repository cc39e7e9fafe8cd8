//! Gateways of our classes, and the fleets that serve them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    Resources, Stored,
    ext::envoy_proxy::{EnvoyProxySpec, IpFamily as ProxyIpFamily},
    gateway::{DefaultScope, Gateway, GatewayClass, ParentRef, SecretRef, same_shape},
};
use ir::{IpFamily, SecretName};

use super::{
    Fleet, GatewayPlan, Proxy,
    classes::{self, Class},
};
use crate::{
    Options,
    certificates::certificate,
    grants::Referrer,
    problem::{Problem, condition},
    report::{Address, Condition},
    telemetry::Sinks,
};

/// What becomes of Envoys whose settings are not there: whoever exchanges an `EnvoyProxy` wants no outage.
const STAYS: &str = "Envoys that run go on as they are";

/// The gateways of our classes, ordered by age, and their fleets.
pub(crate) fn gateways(
    resources: &Resources,
    options: &Options,
    classes: &BTreeMap<&str, Class<'_>>,
) -> (Vec<Fleet>, Vec<GatewayPlan>) {
    let mut ours: Vec<_> = resources
        .gateways
        .iter()
        .filter_map(|gateway| Some((gateway, classes.get(gateway.spec.gateway_class_name.as_str())?)))
        .collect();
    ours.sort_by_cached_key(|(gateway, _)| gateway.age());
    let mut fleets: Vec<Fleet> = Vec::new();
    let mut plans = Vec::with_capacity(ours.len());
    for (gateway, class) in ours {
        let proxy = gateway_proxy(resources, gateway, class);
        let fleet = fleet(&mut fleets, gateway, class, proxy.as_ref().unwrap_or(&class.proxy));
        fleets[fleet].gateways.push(plans.len());
        fleets[fleet].stays |= class.problem.is_some() || (proxy.is_err() && !class.merged);
        plans.push(gateway_plan(resources, options, gateway, fleet, proxy.err(), &mut fleets[fleet]));
    }
    (fleets, plans)
}

/// The names of fleets that may be there although nobody can say what they are to be: because settings are not there, or a
/// Gateway or GatewayClass cannot be read. Of a class whose settings are not there it cannot be told either whether its
/// gateways are merged.
pub(crate) fn staying(
    resources: &Resources,
    classes: &BTreeMap<&str, Class<'_>>,
    fleets: &[Fleet],
) -> BTreeSet<Arc<str>> {
    let own = |gateway: &Gateway| format!("{}/{}", gateway.namespace(), gateway.name());
    let mut names: BTreeSet<Arc<str>> =
        fleets.iter().filter(|fleet| fleet.stays).map(|fleet| Arc::clone(&fleet.name)).collect();
    let lost = classes.iter().filter(|(_, class)| class.problem.is_some()).map(|(name, _)| *name);
    let unreadable = |kind: &'static str| resources.unreadable.keys().filter(move |reference| reference.kind == kind);
    let lost: BTreeSet<&str> = lost.chain(unreadable(GatewayClass::KIND).map(|class| class.name.as_str())).collect();
    for class in lost {
        let gateways = resources.gateways.iter().filter(|gateway| gateway.spec.gateway_class_name == class);
        let own: Vec<Arc<str>> = gateways.map(|gateway| own(gateway).into()).collect();
        if !own.is_empty() {
            names.insert(class.into());
        }
        names.extend(own);
    }
    for gateway in unreadable(Gateway::KIND) {
        names.insert(format!("{}/{}", gateway.namespace, gateway.name).into());
        // It may have been all that its class's fleet served.
        names.extend(classes.keys().map(|class| Arc::from(*class)));
    }
    names
}

/// The gateways that take routes which ask for default ones.
pub(crate) fn defaults(gateways: &[GatewayPlan]) -> Vec<ParentRef> {
    let ours = gateways.iter().map(|plan| &plan.resource);
    let takers = ours.filter(|gateway| gateway.spec.default_scope == Some(DefaultScope::All));
    let parent = |gateway: &Arc<Gateway>| ParentRef {
        group: Some(Gateway::GROUP.to_owned()),
        kind: Some(Gateway::KIND.to_owned()),
        namespace: Some(gateway.namespace().to_owned()),
        name: gateway.name().to_owned(),
        ..ParentRef::default()
    };
    takers.map(parent).collect()
}

/// The fleet of a gateway: its own, or the class's.
fn fleet(fleets: &mut Vec<Fleet>, gateway: &Gateway, class: &Class<'_>, proxy: &Proxy) -> usize {
    let name = match class.merged {
        true => gateway.spec.gateway_class_name.clone(),
        false => format!("{}/{}", gateway.namespace(), gateway.name()),
    };
    fleets.iter().position(|fleet| *fleet.name == *name).unwrap_or_else(|| {
        // Merged gateways share one fleet, so only the class can say how it is run.
        let proxy = if class.merged { &class.proxy } else { proxy }.clone();
        let family = ip_family(&proxy.spec);
        fleets.push(Fleet {
            name: name.into(),
            gateways: Vec::new(),
            proxy,
            family,
            secrets: BTreeMap::new(),
            telemetry: Sinks::default(),
            stays: false,
        });
        fleets.len() - 1
    })
}

/// The addresses that a fleet's sockets are bound to.
fn ip_family(proxy: &EnvoyProxySpec) -> IpFamily {
    match proxy.ip_family {
        None | Some(ProxyIpFamily::IPv4) => IpFamily::V4,
        Some(ProxyIpFamily::IPv6) => IpFamily::V6,
        Some(ProxyIpFamily::DualStack) => IpFamily::Dual,
    }
}

/// The `EnvoyProxy` that a gateway's infrastructure names, or else its class's.
fn gateway_proxy(resources: &Resources, gateway: &Gateway, class: &Class<'_>) -> Result<Proxy, Problem> {
    if let Some(problem) = &class.problem {
        let message = format!("GatewayClass {}: {}; {STAYS}", class.resource.name(), problem.message);
        return Err(Problem::new(problem.reason, message));
    }
    let reference =
        gateway.spec.infrastructure.as_ref().and_then(|infrastructure| infrastructure.parameters_ref.as_ref());
    let Some(reference) = reference else { return Ok(class.proxy.clone()) };
    if class.merged {
        let message = "the class merges its gateways, so parametersRef can only be set on the GatewayClass";
        return Err(Problem::new("InvalidParameters", message));
    }
    let proxy = classes::proxy(resources, &reference.group, &reference.kind, gateway.namespace(), &reference.name);
    proxy.map_err(|problem| Problem::new(problem.reason, format!("{}; {STAYS}", problem.message)))
}

fn gateway_plan(
    resources: &Resources,
    options: &Options,
    gateway: &Arc<Gateway>,
    fleet_index: usize,
    parameters: Option<Problem>,
    fleet: &mut Fleet,
) -> GatewayPlan {
    let (addresses, unsupported, unusable) = addresses(resources, options, gateway, &fleet.name);
    let refused: Vec<Problem> = parameters.into_iter().chain(unsupported).collect();
    let accepted = refused.is_empty();
    let mut conditions = vec![condition("Accepted", "Accepted", &refused)];
    if let Some(problem) = unusable {
        conditions.push(Condition::no("Programmed", problem.reason, problem.message));
    }
    let client_certificate = match client_certificate(resources, gateway, fleet) {
        Ok(None) => None,
        Ok(name) => {
            conditions.push(Condition::yes("ResolvedRefs", "ResolvedRefs", ""));
            name
        }
        Err(problem) => {
            conditions.push(Condition::no("ResolvedRefs", problem.reason, problem.message));
            None
        }
    };
    GatewayPlan {
        resource: Arc::clone(gateway),
        fleet: fleet_index,
        client_certificate,
        accepted,
        conditions,
        listener_sets: 0,
        addresses,
    }
}

/// The certificate that a gateway shows to back ends.
fn client_certificate(
    resources: &Resources,
    gateway: &Gateway,
    fleet: &mut Fleet,
) -> Result<Option<SecretName>, Problem> {
    let backend = gateway.spec.tls.as_ref().and_then(|tls| tls.backend.as_ref());
    let Some(reference) = backend.and_then(|backend| backend.client_certificate_ref.as_ref()) else { return Ok(None) };
    let reference: SecretRef = same_shape(reference);
    let secret = certificate(resources, Referrer::of(gateway), &reference, "InvalidClientCertificateRef")?;
    let name = Arc::clone(&secret.name);
    fleet.secrets.insert(Arc::clone(&name), secret);
    Ok(Some(name))
}

/// The addresses of a gateway's status, and what is wrong with those it asks for: a kind that we don't know refuses
/// the gateway, a value that is not ours to give leaves it unprogrammed.
fn addresses(
    resources: &Resources,
    options: &Options,
    gateway: &Gateway,
    fleet: &str,
) -> (Vec<Address>, Option<Problem>, Option<Problem>) {
    let wanted = gateway.spec.addresses.as_deref().unwrap_or_default();
    let fixed: Vec<_> = wanted
        .iter()
        .map(|address| (address.r#type.as_deref().unwrap_or("IPAddress"), address.value.as_deref().unwrap_or_default()))
        .collect();
    let known = |kind: &str| ["IPAddress", "Hostname"].contains(&kind);
    let unsupported = fixed.iter().find(|(kind, _)| !known(kind)).map(|(kind, _)| {
        Problem::new(
            "UnsupportedAddress",
            format!("an address of type {kind} cannot be had; use IPAddress or Hostname"),
        )
    });
    let there = of_fleet(resources, options, fleet);
    if resources.facts.addresses.is_some() && there.is_empty() {
        let message = "no address is assigned yet; the Service of the gateway says why";
        return (there, unsupported, Some(Problem::new("AddressNotAssigned", message)));
    }
    let ours = |value: &str| {
        let ip: Option<std::net::IpAddr> = value.parse().ok();
        let is = |address: &Address| address.r#type == "IPAddress" && address.value.parse().ok() == ip;
        value.is_empty() || (ip.is_some() && (there.is_empty() || there.iter().any(is)))
    };
    // Nobody can give a name to a load balancer that has not got it; whoever runs Envoys elsewhere knows its names himself.
    let named = |value: &str| {
        resources.facts.addresses.is_none()
            || value.is_empty()
            || there.iter().any(|address| address.r#type == "Hostname" && address.value == value)
    };
    let usable = |kind: &str, value: &str| match kind {
        "IPAddress" => ours(value),
        "Hostname" => named(value),
        _ => true,
    };
    let unusable = fixed.iter().find(|(kind, value)| !usable(kind, value)).map(|(_, value)| {
        Problem::new("AddressNotUsable", format!("the address {value} is not one that this gateway can be reached at"))
    });
    let mut status: Vec<Address> = fixed
        .iter()
        .filter(|(kind, value)| known(kind) && !value.is_empty())
        .map(|(kind, value)| Address { r#type: (*kind).to_owned(), value: (*value).to_owned() })
        .collect();
    if status.is_empty() || unusable.is_some() {
        status = there;
    }
    (status, unsupported, unusable)
}

/// The addresses at which a fleet is reached, as far as they are known.
fn of_fleet(resources: &Resources, options: &Options, fleet: &str) -> Vec<Address> {
    let address = |kind: &str, value: String| Address { r#type: kind.to_owned(), value };
    match &resources.facts.addresses {
        Some(fleets) => {
            fleets.get(fleet).into_iter().flatten().map(|(kind, value)| address(kind, value.clone())).collect()
        }
        None => options.addresses.iter().map(|ip| address("IPAddress", ip.to_string())).collect(),
    }
}
