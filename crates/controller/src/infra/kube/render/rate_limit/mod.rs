//! The rate limit service as Kubernetes objects, where the controller runs it.
//!
//! ```text
//! Envoy ─ TLS, both certified ─▶ Service ─▶ pods ─▶ Redis
//!                                            └─ TLS, both certified ─▶ controller: the limits of all policies
//! ```
//!
//! One for all fleets, in the controller's namespace, named and labelled as Envoy Gateway's. Its certificate is certgen's.

mod env;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use api::{
    config::{Kubernetes, RateLimit, RateLimitRedis},
    ext::envoy_proxy::provider::kubernetes::{EnvoyContainer, EnvoyDeployment, EnvoyPod},
};
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, Probe, SecretVolumeSource, Service, ServicePort,
        ServiceSpec, Volume, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Error, Object, Settings, account,
    envoy::{get, image, requests, restricted, scraped},
    names::Place,
    object, pod, scaling,
    workload::{deployment, target},
};
use crate::{
    infra::kube::Kind,
    install::{RATE_LIMIT_IMAGE, RATE_LIMIT_SECRET},
};

/// Where Envoys ask it.
pub const PORT: u16 = 8081;
const HTTP: u16 = 8080;
const METRICS: u16 = 19001;
/// Where its certificate is, and that for Redis.
const CERTIFICATES: (&str, &str) = ("certs", "/certs");
const REDIS: (&str, &str) = ("redis-certs", "/redis-certs");
/// It idles on less. Whoever has traffic sets `container.resources`.
const REQUESTS: [(&str, &str); 2] = [("cpu", "20m"), ("memory", "48Mi")];
/// What it takes to end at most: `env::DRAIN_DELAY`, 30 seconds for calls that are under way, and a margin.
const GRACE: i64 = 45;

/// The rate limit service as it is wanted.
#[derive(Clone, Debug)]
pub struct RateLimitService {
    redis: RateLimitRedis,
    config: RateLimit,
    kubernetes: Kubernetes,
}

impl RateLimitService {
    /// What a configuration wants; nothing where it wants none.
    pub fn of(config: Option<&RateLimit>, kubernetes: &Kubernetes) -> Option<Self> {
        let config = config?;
        let redis = config.backend.as_ref()?.redis.clone()?;
        Some(Self { redis, config: config.clone(), kubernetes: kubernetes.clone() })
    }

    /// Whether it runs before a policy needs it: what it's asked for would be refused until it's there.
    pub fn runs_in_any_case(&self) -> bool {
        self.config.fail_closed
    }

    /// Whether it has a page of metrics.
    fn has_metrics(&self) -> bool {
        let metrics = self.config.telemetry.as_ref().and_then(|telemetry| telemetry.metrics);
        !metrics.is_some_and(|metrics| metrics.prometheus.disable)
    }

    /// The name and directory of a volume, and the Secret in it.
    fn secrets(&self) -> Vec<((&'static str, &'static str), String)> {
        let redis = self.redis.tls.as_ref().and_then(|tls| tls.certificate_ref.as_ref());
        let redis = redis.map(|reference| (REDIS, reference.name.clone()));
        [(CERTIFICATES, RATE_LIMIT_SECRET.to_owned())].into_iter().chain(redis).collect()
    }
}

/// The labels that all of its objects have, and no fleet's.
pub fn rate_limit_owner(settings: &Settings) -> BTreeMap<String, String> {
    Place::of_rate_limit(settings).selector
}

/// Its objects, in the order in which they are to be made.
///
/// # Errors
/// A patch in the configuration cannot be used.
pub fn render_rate_limit(service: &RateLimitService, settings: &Settings) -> Result<Vec<Object>, Error> {
    let place = Place::of_rate_limit(settings);
    let Kubernetes { rate_limit_deployment, rate_limit_hpa, rate_limit_pdb, .. } = &service.kubernetes;
    let wanted = rate_limit_deployment.clone().unwrap_or_default();
    let template = template(service, &wanted, &place, settings);
    let mut objects = vec![
        object(Kind::ServiceAccount, &account::account(&place, None), None)?,
        deployment(&place, &wanted, rate_limit_hpa.is_some(), template, "rateLimitDeployment")?,
        object(Kind::Service, &in_front(service, &place), None)?,
    ];
    if let Some(hpa) = rate_limit_hpa {
        objects.push(scaling::scaler(&place, hpa, target(&place, wanted.name.as_ref()), "rateLimitHpa")?);
    }
    if let Some(pdb) = rate_limit_pdb {
        objects.push(scaling::budget(&place, pdb, "rateLimitPDB")?);
    }
    Ok(objects)
}

fn in_front(service: &RateLimitService, place: &Place) -> Service {
    let port = |(name, port): (&str, u16)| ServicePort {
        name: Some(name.to_owned()),
        protocol: Some("TCP".to_owned()),
        port: port.into(),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        type_: Some("ClusterIP".to_owned()),
        selector: Some(place.selector.clone()),
        ports: Some(ports(service).filter(|(name, _)| *name != "http").map(port).collect()),
        ..ServiceSpec::default()
    };
    let none = BTreeMap::new();
    Service { metadata: place.meta(None, &none, &none), spec: Some(spec), ..Service::default() }
}

fn ports(service: &RateLimitService) -> impl Iterator<Item = (&'static str, u16)> {
    [("grpc", PORT), ("http", HTTP)].into_iter().chain(service.has_metrics().then_some(("metrics", METRICS)))
}

fn template(
    service: &RateLimitService,
    wanted: &EnvoyDeployment,
    place: &Place,
    settings: &Settings,
) -> PodTemplateSpec {
    let pod: EnvoyPod = wanted.pod.clone().unwrap_or_default();
    let mut annotations = pod.annotations.clone();
    if service.has_metrics() {
        for (key, value) in scraped("/metrics", METRICS) {
            annotations.entry(key.to_owned()).or_insert(value);
        }
    }
    let container = container(service, &wanted.container.clone().unwrap_or_default(), settings);
    let volumes = service.secrets().into_iter().map(|((name, _), secret)| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource { secret_name: Some(secret), ..SecretVolumeSource::default() }),
        ..Volume::default()
    });
    let ours = PodSpec {
        containers: vec![container],
        init_containers: pod::some(&wanted.init_containers),
        service_account_name: Some(place.name.clone()),
        termination_grace_period_seconds: Some(GRACE),
        volumes: Some(volumes.collect()),
        ..PodSpec::default()
    };
    PodTemplateSpec {
        metadata: Some(place.pod_meta(&pod.labels, &annotations)),
        spec: Some(pod::as_wanted(&pod, ours)),
    }
}

fn container(service: &RateLimitService, wanted: &EnvoyContainer, settings: &Settings) -> Container {
    let mount = |((name, path), _): ((&str, &str), String)| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let port = |(name, port): (&str, u16)| ContainerPort {
        name: Some(name.to_owned()),
        protocol: Some("TCP".to_owned()),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    Container {
        name: "envoy-ratelimit".to_owned(),
        image: Some(image(wanted, RATE_LIMIT_IMAGE)),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        env: Some(overridden(env::variables(service, settings), &wanted.env)),
        ports: Some(ports(service).map(port).collect()),
        resources: Some(wanted.resources.clone().unwrap_or_else(|| requests(REQUESTS))),
        security_context: Some(wanted.security_context.clone().unwrap_or_else(restricted)),
        volume_mounts: Some(service.secrets().into_iter().map(mount).chain(wanted.volume_mounts.clone()).collect()),
        // Ready when it has the limits and Redis has answered once. Until then Envoys decide without it.
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(2),
            ..get("/healthcheck", HTTP)
        }),
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
