//! The container that Envoy runs in, with its whole command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::ext::envoy_proxy::{EnvoyProxySpec, IpFamily, provider::kubernetes::EnvoyContainer};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle, LifecycleHandler,
        ObjectFieldSelector, Probe, ResourceRequirements, SecurityContext, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};
use lower::{
    BootstrapSettings,
    bootstrap::{Address, TlsFiles, Xds},
};

use super::{Error, Fleet, Settings, secret, shutdown};

/// Its name.
pub(super) const NAME: &str = "envoy";
/// The volume with the fleet's Secret.
pub(super) const CERTIFICATES: &str = "certs";
/// Envoy's admin interface, for its own pod only.
pub(super) const ADMIN: u16 = 19000;
pub(super) const METRICS: u16 = 19001;
const READY: u16 = 19003;
/// What Envoy asks for unless the user says otherwise: it idles on less, so that many fleets fit on a node. Whoever has
/// traffic sets `container.resources`.
const REQUESTS: [(&str, &str); 2] = [("cpu", "20m"), ("memory", "128Mi")];

/// The zone, as an argument. Kubernetes fills it in.
const ZONE: &str = "$(ENVOY_SERVICE_ZONE)";

pub(super) fn container(
    fleet: &Fleet<'_>,
    settings: &Settings,
    tls: TlsFiles,
    wanted: &EnvoyContainer,
) -> Result<Container, Error> {
    let certificates = VolumeMount {
        name: CERTIFICATES.to_owned(),
        mount_path: secret::DIRECTORY.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    Ok(Container {
        name: NAME.to_owned(),
        image: Some(image(wanted, &settings.envoy_image)),
        command: Some(vec!["envoy".to_owned()]),
        args: Some(args(fleet, settings, tls)?),
        env: Some([own_env(), wanted.env.clone()].concat()),
        ports: Some(ports(fleet)),
        resources: Some(wanted.resources.clone().unwrap_or_else(|| requests(REQUESTS))),
        security_context: Some(wanted.security_context.clone().unwrap_or_else(restricted)),
        volume_mounts: Some([vec![certificates], wanted.volume_mounts.clone()].concat()),
        // Not alive is no reason to start Envoy anew: it would wait for its configuration once more.
        readiness_probe: Some(Probe { period_seconds: Some(2), failure_threshold: Some(3), ..get("/ready", READY) }),
        lifecycle: Some(Lifecycle { pre_stop: Some(pre_stop()), ..Lifecycle::default() }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    })
}

/// The image that the user wants, or the usual one.
pub(super) fn image(wanted: &EnvoyContainer, usual: &str) -> String {
    match (&wanted.image, &wanted.image_repository) {
        (Some(image), _) => image.clone(),
        (None, Some(repository)) => {
            let tag = usual.rsplit_once(':').map_or("latest", |(_, tag)| tag);
            format!("{repository}:{tag}")
        }
        (None, None) => usual.to_owned(),
    }
}

/// Kubernetes puts variables into arguments: `$(ENVOY_POD_NAME)`. That goes for the user's bootstrap, too.
fn args(fleet: &Fleet<'_>, settings: &Settings, tls: TlsFiles) -> Result<Vec<String>, Error> {
    let bootstrap = lower::bootstrap(fleet.gateway, &bootstrap_settings(fleet, settings, tls))?;
    let mut args: Vec<String> = ["--service-node", "$(ENVOY_POD_NAME)", "--service-zone", ZONE]
        .map(str::to_owned)
        .into_iter()
        .chain(["--config-yaml".to_owned(), bootstrap.to_string()])
        .collect();
    args.extend(lower::envoy_args(&fleet.gateway.proxy));
    Ok(args)
}

fn bootstrap_settings(fleet: &Fleet<'_>, settings: &Settings, tls: TlsFiles) -> BootstrapSettings {
    let proxy = &fleet.gateway.proxy;
    let any = |port| Address::Ip((any(proxy), port).into());
    BootstrapSettings {
        // The command line has the pod's.
        node_id: fleet.gateway.name.to_string(),
        node_cluster: fleet.gateway.name.to_string(),
        admin: Address::Ip((Ipv4Addr::LOCALHOST, ADMIN).into()),
        xds: Xds::Tcp { host: settings.xds.host.clone(), port: settings.xds.port, tls: Some(tls) },
        zone: Some(ZONE.to_owned()),
        ready: Some(any(READY)),
        metrics: has_metrics(proxy).then(|| any(METRICS)),
    }
}

/// The address that stands for all of a pod's.
pub(super) fn any(proxy: &EnvoyProxySpec) -> IpAddr {
    match proxy.ip_family {
        None | Some(IpFamily::IPv4) => Ipv4Addr::UNSPECIFIED.into(),
        Some(IpFamily::IPv6 | IpFamily::DualStack) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Whether there is a page of metrics.
pub(super) fn has_metrics(proxy: &EnvoyProxySpec) -> bool {
    let metrics = proxy.telemetry.as_ref().and_then(|telemetry| telemetry.metrics.as_ref());
    !metrics.and_then(|metrics| metrics.prometheus.as_ref()).is_some_and(|prometheus| prometheus.disable)
}

/// What tells Prometheus where the metrics are.
pub(super) fn scraped(path: &str, port: u16) -> [(&'static str, String); 3] {
    [
        ("prometheus.io/path", path.to_owned()),
        ("prometheus.io/port", port.to_string()),
        ("prometheus.io/scrape", "true".to_owned()),
    ]
}

fn own_env() -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    vec![
        field("ENVOY_POD_NAMESPACE", "metadata.namespace"),
        field("ENVOY_POD_NAME", "metadata.name"),
        // Kubernetes copies a node's zone to the pod's labels; where it does not, the zone is not known.
        field("ENVOY_SERVICE_ZONE", "metadata.labels['topology.kubernetes.io/zone']"),
    ]
}

/// The ports that are always there. Listeners' are not named: a listener that comes or goes would start all Envoys anew.
fn ports(fleet: &Fleet<'_>) -> Vec<ContainerPort> {
    let metrics = has_metrics(&fleet.gateway.proxy).then_some(("metrics", METRICS));
    let port = |(name, port): (&str, u16)| ContainerPort {
        name: Some(name.to_owned()),
        protocol: Some("TCP".to_owned()),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    metrics.into_iter().chain([("readiness", READY)]).map(port).collect()
}

/// Envoy ends when the shutdown manager says that it has finished what it had.
fn pre_stop() -> LifecycleHandler {
    LifecycleHandler { http_get: get("/shutdown/ready", shutdown::PORT).http_get, ..LifecycleHandler::default() }
}

pub(super) fn get(path: &str, port: u16) -> Probe {
    let action = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::Int(port.into()),
        scheme: Some("HTTP".to_owned()),
        ..HTTPGetAction::default()
    };
    Probe { http_get: Some(action), ..Probe::default() }
}

pub(super) fn requests<const N: usize>(requests: [(&str, &str); N]) -> ResourceRequirements {
    let requests = requests.map(|(what, amount)| (what.to_owned(), Quantity(amount.to_owned())));
    ResourceRequirements { requests: Some(requests.into()), ..ResourceRequirements::default() }
}

/// What the pod security standard "restricted" asks of a container, and a file system that cannot be written.
pub(super) fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}
