//! The pods.

use api::ext::envoy_proxy::provider::kubernetes::{EnvoyContainer, EnvoyPod};
use k8s_openapi::api::core::v1::{
    Container, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecretVolumeSource, Volume,
};
use lower::bootstrap::TlsFiles;

use super::{Error, Fleet, Settings, account, envoy, names::Place, shutdown};

/// The user of Envoy's image and of ours, who is not root.
const USER: i64 = 65532;

pub(super) fn template(
    fleet: &Fleet<'_>,
    place: &Place,
    settings: &Settings,
    tls: TlsFiles,
    (pod, container, init): (&EnvoyPod, &EnvoyContainer, &[Container]),
) -> Result<PodTemplateSpec, Error> {
    let mut annotations = pod.annotations.clone();
    if envoy::has_metrics(&fleet.gateway.proxy) {
        for (key, value) in envoy::scraped("/stats/prometheus", envoy::METRICS) {
            annotations.entry(key.to_owned()).or_insert(value);
        }
    }
    let account = account::name(fleet).filter(|name| !name.is_empty()).unwrap_or(&place.name);
    let grace = i64::try_from(shutdown::grace(fleet).as_secs()).unwrap_or(i64::MAX);
    let ours = PodSpec {
        containers: vec![envoy::container(fleet, settings, tls, container)?, shutdown::container(fleet, settings)],
        init_containers: some(init),
        service_account_name: Some(account.clone()),
        termination_grace_period_seconds: Some(grace),
        volumes: Some(vec![certificates(place)]),
        ..PodSpec::default()
    };
    let metadata = place.pod_meta(&pod.labels, &annotations);
    Ok(PodTemplateSpec { metadata: Some(metadata), spec: Some(as_wanted(pod, ours)) })
}

/// A pod of ours, with what the user wants of it.
pub(super) fn as_wanted(pod: &EnvoyPod, ours: PodSpec) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        // Variables for every Service of a namespace are of no use to our programs.
        enable_service_links: Some(false),
        security_context: Some(pod.security_context.clone().unwrap_or_else(restricted)),
        volumes: Some(ours.volumes.into_iter().flatten().chain(pod.volumes.clone()).collect()),
        affinity: pod.affinity.clone(),
        tolerations: some(&pod.tolerations),
        image_pull_secrets: some(&pod.image_pull_secrets),
        node_selector: (!pod.node_selector.is_empty()).then(|| pod.node_selector.clone()),
        topology_spread_constraints: some(&pod.topology_spread_constraints),
        priority_class_name: pod.priority_class_name.clone(),
        ..ours
    }
}

pub(super) fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn certificates(place: &Place) -> Volume {
    Volume {
        name: envoy::CERTIFICATES.to_owned(),
        secret: Some(SecretVolumeSource { secret_name: Some(place.name.clone()), ..SecretVolumeSource::default() }),
        ..Volume::default()
    }
}

/// What the pod security standard "restricted" asks of a pod. The user is named by number: Kubernetes cannot tell of a name
/// that it is not root.
fn restricted() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}
