//! The Envoys: a Deployment, or a DaemonSet where the user wants one on each node.

use std::collections::BTreeMap;

use api::ext::envoy_proxy::provider::kubernetes::{EnvoyDaemonSet, EnvoyDeployment};
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, Deployment, DeploymentSpec, DeploymentStrategy},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use lower::bootstrap::TlsFiles;

use super::{Error, Fleet, Object, Settings, names::Place, object, pod};
use crate::infra::kube::Kind;

/// Old ReplicaSets that are kept: nobody rolls back by hand what is rolled out by us.
const HISTORY: i32 = 1;

pub(super) fn workload(fleet: &Fleet<'_>, place: &Place, settings: &Settings, tls: TlsFiles) -> Result<Object, Error> {
    let kubernetes = fleet.kubernetes();
    match kubernetes.and_then(|kubernetes| kubernetes.envoy_daemon_set.as_ref()) {
        Some(wanted) => daemon_set(fleet, place, settings, tls, wanted),
        None => {
            let wanted = kubernetes.and_then(|kubernetes| kubernetes.envoy_deployment.clone()).unwrap_or_default();
            let (pod, container) =
                (wanted.pod.clone().unwrap_or_default(), wanted.container.clone().unwrap_or_default());
            let template = pod::template(fleet, place, settings, tls, (&pod, &container, &wanted.init_containers))?;
            let is_scaled = kubernetes.is_some_and(|kubernetes| kubernetes.envoy_hpa.is_some());
            deployment(place, &wanted, is_scaled, template, "envoyDeployment")
        }
    }
}

/// The name of the Deployment that is scaled. `named` is the name that the user gives it.
pub(super) fn target<'a>(place: &'a Place, named: Option<&'a String>) -> &'a str {
    named.filter(|name| !name.is_empty()).unwrap_or(&place.name)
}

/// A Deployment of pods by a template. `field` is where it's asked for.
pub(super) fn deployment(
    place: &Place,
    wanted: &EnvoyDeployment,
    is_scaled: bool,
    template: PodTemplateSpec,
    field: &'static str,
) -> Result<Object, Error> {
    let strategy = wanted.strategy.clone().unwrap_or_default();
    let deployment = Deployment {
        metadata: place.meta(wanted.name.as_ref(), &BTreeMap::new(), &BTreeMap::new()),
        spec: Some(DeploymentSpec {
            // Who scales has the number; it would be taken from them with every apply.
            replicas: wanted.replicas.filter(|_| !is_scaled),
            strategy: Some(DeploymentStrategy { type_: Some(strategy_type(strategy.type_.as_ref())), ..strategy }),
            revision_history_limit: Some(HISTORY),
            selector: selector(place),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    };
    object(Kind::Deployment, &deployment, wanted.patch.as_ref().map(|patch| (field, patch)))
}

fn daemon_set(
    fleet: &Fleet<'_>,
    place: &Place,
    settings: &Settings,
    tls: TlsFiles,
    wanted: &EnvoyDaemonSet,
) -> Result<Object, Error> {
    let (pod, container) = (wanted.pod.clone().unwrap_or_default(), wanted.container.clone().unwrap_or_default());
    let strategy = wanted.strategy.clone().unwrap_or_default();
    let daemon_set = DaemonSet {
        metadata: place.meta(wanted.name.as_ref(), &BTreeMap::new(), &BTreeMap::new()),
        spec: Some(DaemonSetSpec {
            update_strategy: Some(DaemonSetUpdateStrategy {
                type_: Some(strategy_type(strategy.type_.as_ref())),
                ..strategy
            }),
            revision_history_limit: Some(HISTORY),
            selector: selector(place),
            template: pod::template(fleet, place, settings, tls, (&pod, &container, &[]))?,
            ..DaemonSetSpec::default()
        }),
        ..DaemonSet::default()
    };
    object(Kind::DaemonSet, &daemon_set, wanted.patch.as_ref().map(|patch| ("envoyDaemonSet", patch)))
}

/// Said even if it is the usual one: otherwise a type that was said before would stay.
fn strategy_type(wanted: Option<&String>) -> String {
    wanted.cloned().unwrap_or_else(|| "RollingUpdate".to_owned())
}

/// The labels by which the fleet's pods are known.
pub(super) fn selector(place: &Place) -> LabelSelector {
    LabelSelector { match_labels: Some(place.selector.clone()), ..LabelSelector::default() }
}
