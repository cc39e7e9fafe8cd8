//! GatewayClasses: which are ours, and how their Envoys are run.

use std::{collections::BTreeMap, sync::Arc};

use api::{Resources, Stored, ext::EnvoyProxy, gateway::GatewayClass};

use super::Proxy;
use crate::{Options, problem::Problem};

/// A class that is ours.
#[derive(Debug)]
pub(crate) struct Class<'a> {
    /// The resource.
    pub(crate) resource: &'a GatewayClass,
    /// How its Envoys are run.
    pub(crate) proxy: Proxy,
    /// Whether all its gateways share one fleet; where nobody can say that, whether they do.
    pub(crate) merged: bool,
    /// Why nobody can say how its Envoys are to be run.
    pub(crate) problem: Option<Problem>,
}

/// Our classes, by name.
pub(crate) fn classes<'a>(resources: &'a Resources, options: &Options) -> BTreeMap<&'a str, Class<'a>> {
    let ours = resources.gateway_classes.iter().filter(|class| class.spec.controller_name == options.controller_name);
    ours.map(|class| {
        let (proxy, problem) = match class_proxy(resources, options, class) {
            Ok(proxy) => (proxy, None),
            Err(problem) => (Proxy::default(), Some(problem)),
        };
        let is_there = || {
            let fleets = resources.facts.addresses.as_ref();
            fleets.and_then(|fleets| fleets.get(class.name())).is_some_and(|addresses| !addresses.is_empty())
        };
        let merged = match problem {
            None => proxy.spec.merge_gateways.unwrap_or_default(),
            Some(_) => is_there(),
        };
        (class.name(), Class { resource: class, proxy, merged, problem })
    })
    .collect()
}

fn class_proxy(resources: &Resources, options: &Options, class: &GatewayClass) -> Result<Proxy, Problem> {
    let Some(reference) = &class.spec.parameters_ref else {
        let spec = options.default_proxy.clone().unwrap_or_default();
        return Ok(Proxy { spec, source: None });
    };
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    proxy(resources, &reference.group, &reference.kind, namespace, &reference.name)
}

/// Follows a reference to an `EnvoyProxy`.
pub(crate) fn proxy(
    resources: &Resources,
    group: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Proxy, Problem> {
    let bad = |message: String| Problem::new("InvalidParameters", message);
    if group != EnvoyProxy::GROUP || kind != EnvoyProxy::KIND {
        return Err(bad(format!("parametersRef names a {kind} of group {group:?}; only an EnvoyProxy is read")));
    }
    let found = resources.envoy_proxies.get(namespace, name);
    found
        .map(|proxy| Proxy { spec: Arc::new(proxy.spec.clone()), source: Some(Arc::clone(proxy)) })
        .ok_or_else(|| bad(format!("parametersRef names EnvoyProxy {namespace}/{name}, which does not exist")))
}
