//! A service that Envoys ask, as Kubernetes objects, where the controller runs it.
//!
//! ```text
//! Envoy ─ TLS, both certified ─▶ Service ─▶ pods ─ TLS, both certified ─▶ controller: what all policies say
//! ```
//!
//! One for all fleets, in the controller's namespace. Its certificate is certgen's.

use std::collections::BTreeMap;

use api::ext::envoy_proxy::provider::kubernetes::{EnvoyContainer, EnvoyDeployment, EnvoyHpa, EnvoyPdb, EnvoyPod};
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, Probe, SecretVolumeSource, Service, ServicePort,
        ServiceSpec, Volume, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Error, Object, account,
    envoy::{get, image, requests, restricted, scraped},
    names::Place,
    object, pod, scaling,
    workload::{deployment, target},
};
use crate::infra::kube::Kind;

/// Where its certificate is, in its pods.
pub(super) const CERTIFICATES: &str = "/certs";
/// How long it goes on before it stops accepting: until nobody is sent to it any more.
pub(super) const DRAIN_DELAY: &str = "5s";
/// Connections end after so long a time, so that Envoys spread over pods that were added.
pub(super) const CONNECTION_AGE: &str = "10m";
/// What it takes to end at most: the delay, 30 seconds for calls that are under way, and a margin.
const GRACE: i64 = 45;
/// It idles on less. Whoever has traffic sets `container.resources`.
const REQUESTS: [(&str, &str); 2] = [("cpu", "20m"), ("memory", "48Mi")];

/// A service that the controller may run, with its objects in the order in which they are to be made.
#[derive(Clone, Debug)]
pub struct AskedService {
    /// What stands for a fleet's name where it is this service. No fleet can have it.
    pub name: &'static str,
    /// Whether it runs before a policy needs it.
    pub in_any_case: bool,
    /// Whether a fleet needs it.
    pub is_needed_by: fn(&ir::Gateway) -> bool,
    /// The labels that all of its objects have, and no fleet's.
    pub owner: BTreeMap<String, String>,
    /// Its objects.
    pub objects: Vec<Object>,
}

/// What is one service's own.
pub(super) struct Asked<'a> {
    pub(super) place: &'a Place,
    pub(super) run: Run<'a>,
    pub(super) container: &'static str,
    pub(super) image: &'static str,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<EnvVar>,
    /// Where its pods listen, and whether others come there by the Service.
    pub(super) ports: Vec<(&'static str, u16, bool)>,
    /// The page and port of its metrics.
    pub(super) metrics: Option<(&'static str, u16)>,
    pub(super) secrets: Vec<Files>,
    /// The page and port that say whether it's ready.
    pub(super) ready: (&'static str, u16),
}

/// How the user wants it run, and the fields that say so.
pub(super) struct Run<'a> {
    pub(super) deployment: (&'static str, Option<&'a EnvoyDeployment>),
    pub(super) hpa: (&'static str, Option<&'a EnvoyHpa>),
    pub(super) pdb: (&'static str, Option<&'a EnvoyPdb>),
}

/// A Secret as files: the name of the volume, the directory, and the Secret.
pub(super) struct Files(pub(super) &'static str, pub(super) &'static str, pub(super) String);

/// Its objects.
///
/// # Errors
/// A patch in the configuration cannot be used.
pub(super) fn objects(asked: &Asked<'_>) -> Result<Vec<Object>, Error> {
    let Asked { place, run: Run { deployment: (field, wanted), hpa, pdb }, .. } = asked;
    let wanted = wanted.cloned().unwrap_or_default();
    let template = template(asked, &wanted);
    let mut objects = vec![
        object(Kind::ServiceAccount, &account::account(place, None), None)?,
        deployment(place, &wanted, hpa.1.is_some(), template, field)?,
        object(Kind::Service, &in_front(asked), None)?,
    ];
    if let (field, Some(hpa)) = hpa {
        objects.push(scaling::scaler(place, hpa, target(place, wanted.name.as_ref()), field)?);
    }
    if let (field, Some(pdb)) = pdb {
        objects.push(scaling::budget(place, pdb, field)?);
    }
    Ok(objects)
}

fn in_front(asked: &Asked<'_>) -> Service {
    let port = |&(name, port, _): &(&str, u16, bool)| ServicePort {
        name: Some(name.to_owned()),
        protocol: Some("TCP".to_owned()),
        port: port.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        type_: Some("ClusterIP".to_owned()),
        selector: Some(asked.place.selector.clone()),
        ports: Some(asked.ports.iter().filter(|(.., in_service)| *in_service).map(port).collect()),
        ..ServiceSpec::default()
    };
    let none = BTreeMap::new();
    Service { metadata: asked.place.meta(None, &none, &none), spec: Some(spec), ..Service::default() }
}

fn template(asked: &Asked<'_>, wanted: &EnvoyDeployment) -> PodTemplateSpec {
    let pod: EnvoyPod = wanted.pod.clone().unwrap_or_default();
    let mut annotations = pod.annotations.clone();
    for (key, value) in asked.metrics.into_iter().flat_map(|(path, port)| scraped(path, port)) {
        annotations.entry(key.to_owned()).or_insert(value);
    }
    let volumes = asked.secrets.iter().map(|Files(name, _, secret)| Volume {
        name: (*name).to_owned(),
        secret: Some(SecretVolumeSource { secret_name: Some(secret.clone()), ..SecretVolumeSource::default() }),
        ..Volume::default()
    });
    let ours = PodSpec {
        containers: vec![container(asked, &wanted.container.clone().unwrap_or_default())],
        init_containers: pod::some(&wanted.init_containers),
        service_account_name: Some(asked.place.name.clone()),
        termination_grace_period_seconds: Some(GRACE),
        volumes: Some(volumes.collect()),
        ..PodSpec::default()
    };
    PodTemplateSpec {
        metadata: Some(asked.place.pod_meta(&pod.labels, &annotations)),
        spec: Some(pod::as_wanted(&pod, ours)),
    }
}

fn container(asked: &Asked<'_>, wanted: &EnvoyContainer) -> Container {
    let mount = |Files(name, path, _): &Files| VolumeMount {
        name: (*name).to_owned(),
        mount_path: (*path).to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let port = |&(name, port, _): &(&str, u16, bool)| ContainerPort {
        name: Some(name.to_owned()),
        protocol: Some("TCP".to_owned()),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    let (path, ready) = asked.ready;
    Container {
        name: asked.container.to_owned(),
        image: Some(image(wanted, asked.image)),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: pod::some(&asked.args),
        env: pod::some(&overridden(asked.env.clone(), &wanted.env)),
        ports: Some(asked.ports.iter().map(port).collect()),
        resources: Some(wanted.resources.clone().unwrap_or_else(|| requests(REQUESTS))),
        security_context: Some(wanted.security_context.clone().unwrap_or_else(restricted)),
        volume_mounts: Some(asked.secrets.iter().map(mount).chain(wanted.volume_mounts.clone()).collect()),
        // Until it's ready Envoys decide without it.
        readiness_probe: Some(Probe { period_seconds: Some(2), failure_threshold: Some(2), ..get(path, ready) }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// Ours, those that the user has set instead, and the user's others.
fn overridden(mut ours: Vec<EnvVar>, theirs: &[EnvVar]) -> Vec<EnvVar> {
    ours.retain(|variable| !theirs.iter().any(|other| other.name == variable.name));
    ours.extend(theirs.iter().cloned());
    ours
}
