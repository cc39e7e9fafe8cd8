//! GatewayClasses: which are ours, and how their Envoys are run.

use std::{collections::BTreeMap, sync::Arc};

use api::{Resources, Stored, ext::EnvoyProxy, gateway::GatewayClass};

use super::Proxy;
use crate::{
    Options, Reports,
    features::SUPPORTED_FEATURES,
    problem::{Problem, condition},
    report::{Condition, Report, Status},
};

/// A class that is ours.
#[derive(Debug)]
pub(crate) struct Class {
    /// How its Envoys are run.
    pub(crate) proxy: Proxy,
    /// Whether all its gateways share one fleet.
    pub(crate) merged: bool,
    /// Whether its gateways are served.
    pub(crate) accepted: bool,
}

/// Our classes, by name.
pub(crate) fn classes<'a>(
    resources: &'a Resources,
    options: &Options,
    reports: &mut Reports,
) -> BTreeMap<&'a str, Class> {
    let ours = resources.gateway_classes.iter().filter(|class| class.spec.controller_name == options.controller_name);
    ours.map(|class| {
        let proxy = class_proxy(resources, options, class);
        let problem = proxy.as_ref().err();
        let conditions = vec![
            condition("Accepted", "Accepted", problem),
            Condition::yes("SupportedVersion", "SupportedVersion", ""),
        ];
        let status = Status::Plain { conditions, supported_features: SUPPORTED_FEATURES.to_vec() };
        let report = Report { generation: class.generation(), status, fleet: None };
        reports.insert_cow(Arc::new(class.reference()), Arc::new(report));
        let accepted = proxy.is_ok();
        let proxy = proxy.unwrap_or_default();
        let merged = proxy.spec.merge_gateways.unwrap_or_default();
        (class.name(), Class { proxy, merged, accepted })
    })
    .collect()
}

fn class_proxy(resources: &Resources, options: &Options, class: &GatewayClass) -> Result<Proxy, Problem> {
    let Some(reference) = &class.spec.parameters_ref else {
        let spec = options.default_proxy.clone().unwrap_or_default();
        return Ok(Proxy { spec, namespace: String::new() });
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
        .map(|proxy| Proxy { spec: Arc::new(proxy.spec.clone()), namespace: namespace.to_owned() })
        .ok_or_else(|| bad(format!("parametersRef names EnvoyProxy {namespace}/{name}, which does not exist")))
}
