//! Envoys in the cluster: what running them takes, put together.

use std::path::PathBuf;

use api::config::{EnvoyGateway, Kubernetes};
use kit::{Kit, tasks::BoxError};
use tokio::sync::watch;

use super::{
    Planner,
    kube::{
        Plan, Runner, Scope, States,
        identities::Identities,
        render::{ENVOY_IMAGE, RateLimitService, Settings, SingleSignOnService, XdsAddress},
    },
};
use crate::{api_server::ApiServer, authority::SERVER_NAME, install};

/// The image of the controller that runs, for the container that stops Envoys.
const IMAGE: &str = "PORTCULLIS_IMAGE";
/// The name of this installation, where it is not that of its namespace.
const INSTANCE: &str = "PORTCULLIS_INSTANCE";

/// What runs Envoys in the cluster.
#[derive(Debug)]
pub struct Fleets {
    /// For the engine: plans them.
    pub planner: Planner,
    /// How they are.
    pub states: watch::Receiver<States>,
}

/// Begins to run Envoys, with certificates of the authority in a directory, while `leads` is true. Nothing is run before the
/// planner has said something.
///
/// # Errors
/// There is no authority, or what the configuration says of services that Envoys ask cannot be used.
pub async fn run(
    kit: &Kit,
    server: &ApiServer,
    config: &EnvoyGateway,
    authority: PathBuf,
    leads: watch::Receiver<bool>,
) -> Result<Fleets, BoxError> {
    let kubernetes = config.provider.kubernetes.clone().unwrap_or_default();
    let settings = settings(server, &kubernetes);
    let limits = RateLimitService::of(config.rate_limit.as_ref(), &kubernetes);
    let logins = SingleSignOnService::of(config.single_sign_on.as_ref(), &kubernetes);
    let limits = limits.map(|service| service.render(&settings)).transpose()?;
    let logins = logins.map(|service| service.render(&settings)).transpose()?;
    let scope = scope(&kubernetes, &server.namespace);
    let mut identities = Identities::open(&authority)?;
    identities.take_over(&server.client, &scope, &settings.instance, &settings.namespace).await;
    let runner = Runner::new(server.client.clone(), &scope, &settings.instance);
    let identify = Box::new(move |gateway: &ir::Gateway| identities.of(&gateway.name));
    let plan = Plan::new(settings, identify, limits.into_iter().chain(logins));
    let wanted = watch::Sender::new(None);
    let (states, seen) = watch::channel(States::default());
    let (heard, stop) = (wanted.subscribe(), kit.shutdown.clone());
    kit.tasks.spawn("fleets", async move {
        runner.run(heard, leads, states, async move { stop.stopping().await }).await;
        Ok::<(), BoxError>(())
    });
    Ok(Fleets { planner: Planner::Kube(Box::new(plan), wanted), states: seen })
}

fn settings(server: &ApiServer, config: &Kubernetes) -> Settings {
    let namespace = server.namespace.clone();
    let host = format!("{}.{namespace}.svc", install::NAME);
    Settings {
        instance: std::env::var(INSTANCE).unwrap_or_else(|_| namespace.clone()),
        deploy: config.deploy.r#type,
        envoy_image: ENVOY_IMAGE.to_owned(),
        controller_image: std::env::var(IMAGE).unwrap_or_else(|_| install::IMAGE.to_owned()),
        shutdown_manager: config.shutdown_manager.clone(),
        xds: XdsAddress { host, port: install::XDS_PORT, server_name: SERVER_NAME.to_owned() },
        namespace,
    }
}

/// Where our objects may be: in our own namespace, or in those of the Gateways.
fn scope(config: &Kubernetes, own: &str) -> Scope {
    use api::config::{KubernetesDeployType, WatchType};
    match (config.deploy.r#type, &config.watch) {
        (KubernetesDeployType::ControllerNamespace, _) => Scope::Namespaces(vec![own.to_owned()]),
        (KubernetesDeployType::GatewayNamespace, Some(watch)) if watch.r#type == WatchType::Namespaces => {
            let mut namespaces = watch.namespaces.clone();
            namespaces.push(own.to_owned());
            namespaces.sort();
            namespaces.dedup();
            Scope::Namespaces(namespaces)
        }
        (KubernetesDeployType::GatewayNamespace, _) => Scope::All,
    }
}
