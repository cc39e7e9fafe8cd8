//! How the objects of a fleet are named and labelled: as Envoy Gateway does it, so that what looks for them finds them.

use std::collections::BTreeMap;

use api::{Stored, config::KubernetesDeployType, gateway::Gateway};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use sha2::{Digest, Sha256};

use super::{Fleet, Settings};
use crate::install::{RATE_LIMIT_NAME, SINGLE_SIGN_ON_NAME};

/// The label by which the objects of one installation are known among those of others.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
const COMPONENT: &str = "app.kubernetes.io/component";
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "envoy-gateway");
/// The labels that all objects of all fleets have.
const FLEETS: [(&str, &str); 3] = [(COMPONENT, "proxy"), MANAGED_BY, ("app.kubernetes.io/name", "envoy")];
/// The labels that all objects of the rate limit service have.
const RATE_LIMIT: [(&str, &str); 3] =
    [(COMPONENT, "ratelimit"), MANAGED_BY, ("app.kubernetes.io/name", RATE_LIMIT_NAME)];
/// The labels that all objects of the single sign-on service have.
const SINGLE_SIGN_ON: [(&str, &str); 3] =
    [(COMPONENT, "single-sign-on"), MANAGED_BY, ("app.kubernetes.io/name", SINGLE_SIGN_ON_NAME)];
/// The labels that say whose an object is: those that a fleet does not have must be absent.
pub const OWNERSHIP: [&str; 4] = [MANAGED_BY.0, OWNING_CLASS, OWNING_NAME, OWNING_NAMESPACE];
const OWNING_CLASS: &str = "gateway.envoyproxy.io/owning-gatewayclass";
const OWNING_NAME: &str = "gateway.envoyproxy.io/owning-gateway-name";
const OWNING_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";
/// The label that the Gateway API asks for (GEP-1762).
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// The longest name of a Service, and the longest value of a label.
const LABEL: usize = 63;
/// How much of a fleet's name is part of its objects' names.
const READABLE: usize = 48;

/// Where the objects of a fleet are and what they have in common.
#[derive(Debug)]
pub(super) struct Place {
    /// The objects' name unless the user gives one another.
    pub(super) name: String,
    pub(super) namespace: String,
    /// The labels by which the fleet's pods are selected. They never change: a Deployment's selector cannot.
    pub(super) selector: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    /// Labels and annotations that the Gateways ask for.
    infrastructure: (BTreeMap<String, String>, BTreeMap<String, String>),
    owners: Option<Vec<OwnerReference>>,
}

impl Place {
    pub(super) fn of(fleet: &Fleet<'_>, settings: &Settings) -> Self {
        let fleet_name = &*fleet.gateway.name;
        let own = fleet_name.split_once('/');
        let selector = owner_of(fleet_name);
        let mut labels = BTreeMap::from([(INSTANCE.to_owned(), label_value(&settings.instance))]);
        labels.extend(own.map(|(_, name)| (GATEWAY_NAME.to_owned(), label_value(name))));
        labels.extend(selector.clone());
        let usual = format!("envoy-{}", hashed(fleet_name));
        let (name, namespace, owners) = match (settings.deploy, own) {
            (KubernetesDeployType::GatewayNamespace, Some((namespace, name))) => {
                let name = if is_service_name(name) { name.to_owned() } else { usual };
                (name, namespace.to_owned(), fleet.gateways.first().and_then(|gateway| owner(gateway)))
            }
            _ => (usual, settings.namespace.clone(), None),
        };
        Self { name, namespace, selector, labels, infrastructure: infrastructure(fleet), owners }
    }

    /// That of the rate limit service.
    pub(super) fn of_rate_limit(settings: &Settings) -> Self {
        Self::of_service(RATE_LIMIT_NAME, &RATE_LIMIT, settings)
    }

    /// That of the single sign-on service.
    pub(super) fn of_single_sign_on(settings: &Settings) -> Self {
        Self::of_service(SINGLE_SIGN_ON_NAME, &SINGLE_SIGN_ON, settings)
    }

    /// That of a service which is one for all fleets.
    fn of_service(name: &str, labels: &[(&str, &str)], settings: &Settings) -> Self {
        let selector = owned(labels);
        let mut labels = BTreeMap::from([(INSTANCE.to_owned(), label_value(&settings.instance))]);
        labels.extend(selector.clone());
        Self {
            name: name.to_owned(),
            namespace: settings.namespace.clone(),
            selector,
            labels,
            infrastructure: Default::default(),
            owners: None,
        }
    }

    /// The metadata of an object: `labels` and `annotations` are its own.
    pub(super) fn meta(
        &self,
        name: Option<&String>,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.filter(|name| !name.is_empty()).unwrap_or(&self.name).clone()),
            namespace: Some(self.namespace.clone()),
            owner_references: self.owners.clone(),
            ..self.pod_meta(labels, annotations)
        }
    }

    /// The metadata of the pods. Ours win: by them the pods are found.
    pub(super) fn pod_meta(
        &self,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> ObjectMeta {
        let joined = |parts: &[&BTreeMap<String, String>]| {
            let all = parts.iter().flat_map(|part| part.iter().map(|(key, value)| (key.clone(), value.clone())));
            all.collect::<BTreeMap<_, _>>()
        };
        let annotations = joined(&[&self.infrastructure.1, annotations]);
        ObjectMeta {
            labels: Some(joined(&[&self.infrastructure.0, labels, &self.labels])),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }
    }
}

fn owned(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Selects the objects of an installation.
pub fn selector_of(instance: &str) -> String {
    let components = [FLEETS, RATE_LIMIT, SINGLE_SIGN_ON].map(|labels| labels[0].1).join(",");
    format!("{COMPONENT} in ({components}),{}={},{INSTANCE}={}", MANAGED_BY.0, MANAGED_BY.1, label_value(instance))
}

/// What the fleet's Gateways ask for; where they differ the older one has it.
fn infrastructure(fleet: &Fleet<'_>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut wanted = (BTreeMap::new(), BTreeMap::new());
    for gateway in fleet.gateways.iter().rev() {
        let Some(infrastructure) = &gateway.spec.infrastructure else { continue };
        wanted.0.extend(infrastructure.labels.clone().unwrap_or_default());
        wanted.1.extend(infrastructure.annotations.clone().unwrap_or_default());
    }
    wanted
}

/// The labels that all objects of a fleet have, and no other fleet's.
pub fn owner_of(fleet: &str) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> = owned(&FLEETS);
    match fleet.split_once('/') {
        Some((namespace, name)) => {
            labels.insert(OWNING_NAME.to_owned(), label_value(name));
            labels.insert(OWNING_NAMESPACE.to_owned(), label_value(namespace));
        }
        None => drop(labels.insert(OWNING_CLASS.to_owned(), label_value(fleet))),
    }
    labels
}

/// With the Gateway go its objects. A Gateway of a file has no identity in the cluster.
fn owner(gateway: &Gateway) -> Option<Vec<OwnerReference>> {
    let uid = gateway.metadata.uid.clone()?;
    Some(vec![OwnerReference {
        api_version: format!("{}/v1", Gateway::GROUP),
        kind: Gateway::KIND.to_owned(),
        name: gateway.name().to_owned(),
        uid,
        ..OwnerReference::default()
    }])
}

/// A fleet's name as a part of an object's, made unique by a hash.
fn hashed(fleet: &str) -> String {
    let readable: String =
        fleet.chars().take(READABLE).map(|char| if char == '/' || char == '.' { '-' } else { char }).collect();
    format!("{}-{}", readable.trim_end_matches('-'), hash(fleet))
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A label's value is shorter than a name may be.
fn label_value(name: &str) -> String {
    match name.get(..LABEL - 9) {
        Some(start) if name.len() > LABEL => format!("{}-{}", start.trim_end_matches(['-', '.']), hash(name)),
        _ => name.to_owned(),
    }
}

/// Whether a Service may have the name (RFC 1035, label).
fn is_service_name(name: &str) -> bool {
    name.len() <= LABEL && !name.contains('.') && name.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_envoy_gateway_gives() {
        assert_eq!(hashed("default/eg"), "default-eg-e41e7b31");
        assert_eq!(hashed("eg"), "eg-d8c59e83");
        let long = hashed(&format!("default/{}.b", "a".repeat(60)));
        assert!(format!("envoy-{long}").len() <= LABEL, "{long}");
    }

    #[test]
    fn long_values_of_labels_stay_different() {
        let (one, other) = (label_value(&"a".repeat(64)), label_value(&"a".repeat(65)));
        assert!(one.len() <= LABEL && one != other, "{one} {other}");
        assert_eq!(label_value("short"), "short");
    }
}
