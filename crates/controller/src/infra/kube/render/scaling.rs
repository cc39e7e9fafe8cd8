//! How many Envoys there are: what scales them, and how many may be evicted at once.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    autoscaling::v2::{CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec},
    policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
};

use super::{
    Error, Fleet, Object,
    names::Place,
    object,
    workload::{deployment_name, selector},
};
use crate::infra::kube::Kind;

pub(super) fn objects(fleet: &Fleet<'_>, place: &Place) -> Result<Vec<Object>, Error> {
    let Some(kubernetes) = fleet.kubernetes() else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    // A DaemonSet is not scaled.
    if let (Some(wanted), None) = (&kubernetes.envoy_hpa, &kubernetes.envoy_daemon_set) {
        let target = deployment_name(fleet).filter(|name| !name.is_empty()).unwrap_or(&place.name);
        let scaler = HorizontalPodAutoscaler {
            metadata: place.meta(wanted.name.as_ref(), &BTreeMap::new(), &BTreeMap::new()),
            spec: Some(HorizontalPodAutoscalerSpec {
                scale_target_ref: CrossVersionObjectReference {
                    api_version: Some("apps/v1".to_owned()),
                    kind: "Deployment".to_owned(),
                    name: target.clone(),
                },
                min_replicas: wanted.min_replicas,
                max_replicas: wanted.max_replicas,
                metrics: (!wanted.metrics.is_empty()).then(|| wanted.metrics.clone()),
                behavior: wanted.behavior.clone(),
            }),
            ..HorizontalPodAutoscaler::default()
        };
        let patch = wanted.patch.as_ref().map(|patch| ("envoyHpa", patch));
        objects.push(object(Kind::HorizontalPodAutoscaler, &scaler, patch)?);
    }
    if let Some(wanted) = &kubernetes.envoy_pdb {
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
        objects.push(object(
            Kind::PodDisruptionBudget,
            &budget,
            wanted.patch.as_ref().map(|patch| ("envoyPDB", patch)),
        )?);
    }
    Ok(objects)
}
