//! A fleet of Envoys, and the services that Envoys ask, as Kubernetes objects. Pure: the same fleet gives the same objects.
//!
//! ```text
//! Fleet (ir::Gateway, Gateways, Identity) ─┐
//! Settings ────────────────────────────────┴─▶ render() ─▶ ServiceAccount · Secret · Deployment or DaemonSet · Service
//!                                                          HorizontalPodAutoscaler · PodDisruptionBudget
//! ```
//!
//! Names and labels are Envoy Gateway's (`names`), so that what looks for them finds them. The user's patches come last.

mod account;
mod asked;
mod envoy;
mod names;
mod patch;
mod pod;
mod rate_limit;
mod scaling;
mod secret;
mod service;
mod shutdown;
mod single_sign_on;
#[cfg(test)]
mod tests;
mod workload;

use std::sync::Arc;

use api::{
    config::{KubernetesDeployType, ShutdownManager},
    ext::envoy_proxy::provider::kubernetes::{KubernetesPatch, KubernetesProvider},
    gateway::Gateway,
};
use serde::Serialize;
use serde_json::Value;

pub use self::{
    asked::AskedService,
    names::{INSTANCE, OWNERSHIP, owner_of, selector_of},
    rate_limit::{PORT as RATE_LIMIT_PORT, RateLimitService},
    single_sign_on::SingleSignOnService,
};
use self::{names::Place, service::ListenerPort};
use super::Kind;

/// Envoy's image unless an `EnvoyProxy` names another.
pub const ENVOY_IMAGE: &str = "docker.io/envoyproxy/envoy:distroless-v1.40.0";

/// What is the same for all fleets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controller's namespace.
    pub namespace: String,
    /// Tells this installation from others in the cluster: only objects of this instance are ever changed or deleted.
    pub instance: String,
    /// Where objects are put.
    pub deploy: KubernetesDeployType,
    /// Envoy's image unless an `EnvoyProxy` names another.
    pub envoy_image: String,
    /// The controller's own image, for the shutdown manager.
    pub controller_image: String,
    /// Another image and other resources for the shutdown manager.
    pub shutdown_manager: ShutdownManager,
    /// Where Envoys get their configuration.
    pub xds: XdsAddress,
}

/// Where Envoys get their configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdsAddress {
    /// The Service's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name in its certificate.
    pub server_name: String,
}

/// By what an Envoy and the controller know each other: all PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The authorities that the controller's certificate is checked against.
    pub authorities: String,
    /// The Envoy's certificate chain.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The key is nobody's business.
impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// A fleet of Envoys.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// What it serves, and how it's run.
    pub gateway: &'a ir::Gateway,
    /// The Gateways in it, the oldest first.
    pub gateways: &'a [Arc<Gateway>],
    /// Who its Envoys are.
    pub identity: &'a Identity,
}

impl Fleet<'_> {
    /// The ports that clients connect to.
    pub(super) fn ports(&self) -> Vec<ListenerPort> {
        service::listener_ports(self)
    }

    fn kubernetes(&self) -> Option<&KubernetesProvider> {
        self.gateway.proxy.kubernetes()
    }
}

/// One object, as it is wanted.
#[derive(Clone, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// All of it.
    pub value: Value,
}

/// Secrets are objects too.
impl std::fmt::Debug for Object {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// `Kind namespace/name`, as logs and messages show it.
impl std::fmt::Display for Object {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Why something has no objects. It is the user's `EnvoyProxy` that is wrong, or the controller's configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bootstrap in it cannot be used.
    #[error(transparent)]
    Bootstrap(#[from] lower::BootstrapError),
    /// A patch in it cannot be used.
    #[error("provider.kubernetes.{field}.patch: {reason}")]
    Patch {
        /// Whose patch.
        field: &'static str,
        /// What is wrong and how it's mended.
        reason: String,
    },
}

/// The objects of a fleet, in the order in which they are to be made.
///
/// # Errors
/// Something in the fleet's `EnvoyProxy` cannot be used.
pub fn render(fleet: &Fleet<'_>, settings: &Settings) -> Result<Vec<Object>, Error> {
    let place = Place::of(fleet, settings);
    let tls = secret::files(settings);
    let mut objects = vec![
        object(Kind::ServiceAccount, &account::account(&place, account::name(fleet)), None)?,
        object(Kind::Secret, &secret::secret(fleet, &place, &tls), None)?,
    ];
    objects.push(workload::workload(fleet, &place, settings, tls)?);
    if let Some(service) = service::service(fleet, &place) {
        let wanted = fleet.kubernetes().and_then(|kubernetes| kubernetes.envoy_service.as_ref()?.patch.as_ref());
        objects.push(object(Kind::Service, &service, wanted.map(|patch| ("envoyService", patch)))?);
    }
    objects.extend(scaling::of_fleet(fleet, &place)?);
    Ok(objects)
}

/// An object with the user's patch, which has the name of its field.
fn object(
    kind: Kind,
    typed: &impl Serialize,
    patched: Option<(&'static str, &KubernetesPatch)>,
) -> Result<Object, Error> {
    let value = serde_json::to_value(typed).expect("Kubernetes' types are JSON");
    let (field, patch) = patched.unzip();
    let value =
        patch::apply(value, patch).map_err(|reason| Error::Patch { field: field.unwrap_or_default(), reason })?;
    let meta = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
    Ok(Object { kind, namespace: meta("namespace"), name: meta("name"), value })
}
