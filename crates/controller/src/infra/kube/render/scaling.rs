//! How many there are: what scales them, and how many may be evicted at once.

use std::collections::BTreeMap;

use api::ext::envoy_proxy::provider::kubernetes::{EnvoyHpa, EnvoyPdb};
use k8s_openapi::api::{
    autoscaling::v2::{CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec},
    policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
};

use super::{
    Error, Fleet, Object,
    names::Place,
    object,
    workload::{selector, target},
};
use crate::infra::kube::Kind;

/// What a fleet's `EnvoyProxy` asks for.
pub(super) fn of_fleet(fleet: &Fleet<'_>, place: &Place) -> Result<Vec<Object>, Error> {
    let Some(kubernetes) = fleet.kubernetes() else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    // A DaemonSet is not scaled.
    if let (Some(wanted), None) = (&kubernetes.envoy_hpa, &kubernetes.envoy_daemon_set) {
        let deployment = kubernetes.envoy_deployment.as_ref();
        let target = target(place, deployment.and_then(|deployment| deployment.name.as_ref()));
        objects.push(scaler(place, wanted, target, "envoyHpa")?);
    }
    if let Some(wanted) = &kubernetes.envoy_pdb {
        objects.push(budget(place, wanted, "envoyPDB")?);
    }
    Ok(objects)
}

/// Scales a Deployment. `field` is where it's asked for.
pub(super) fn scaler(place: &Place, wanted: &EnvoyHpa, target: &str, field: &'static str) -> Result<Object, Error> {
    let scaler = HorizontalPodAutoscaler {
        metadata: place.meta(wanted.name.as_ref(), &BTreeMap::new(), &BTreeMap::new()),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: target.to_owned(),
            },
            min_replicas: wanted.min_replicas,
            max_replicas: wanted.max_replicas,
            metrics: (!wanted.metrics.is_empty()).then(|| wanted.metrics.clone()),
            behavior: wanted.behavior.clone(),
        }),
        ..HorizontalPodAutoscaler::default()
    };
    object(Kind::HorizontalPodAutoscaler, &scaler, wanted.patch.as_ref().map(|patch| (field, patch)))
}

/// Bounds what is evicted. `field` is where it's asked for.
pub(super) fn budget(place: &Place, wanted: &EnvoyPdb, field: &'static str) -> Result<Object, Error> {
    let budget = PodDisruptionBudget {
        metadata: place.meta(wanted.name.as_ref(), &BTreeMap::new(), &BTreeMap::new()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: wanted.min_available.clone(),
            max_unavailable: wanted.max_unavailable.clone(),
            selector: Some(selector(place)),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    };
    object(Kind::PodDisruptionBudget, &budget, wanted.patch.as_ref().map(|patch| (field, patch)))
}
