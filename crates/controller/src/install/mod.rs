//! The objects that the controller is installed with, as values. Pure: the same options give the same objects.
//!
//! ```text
//! api::KINDS, api::ext::crds ─┐
//! what the code asks for ─────┼─▶ objects() ─▶ `portcullis manifests` ─▶ install/*.yaml
//! Options ────────────────────┘   webhook()
//! ```

mod rbac;
#[cfg(test)]
mod tests;
mod webhook;
mod workload;

use api::config::{CONTROLLER_NAME, KubernetesDeployType};
use serde_json::{Value, json};

use crate::authority;

pub use webhook::webhook;

/// The name of the controller's Deployment, Service and ServiceAccount, and of the Secret with its certificate.
pub const NAME: &str = "envoy-gateway";
/// The Secret with the authority that signs the certificates of the controller and of its Envoys.
pub const AUTHORITY: &str = "envoy-gateway-ca";
/// The name of the rate limit service's Deployment, Service and ServiceAccount.
pub const RATE_LIMIT_NAME: &str = authority::RATE_LIMIT_NAME;
/// The Secret with its certificate.
pub const RATE_LIMIT_SECRET: &str = "envoy-rate-limit";
/// The name of the single sign-on service's Deployment, Service and ServiceAccount.
pub const SINGLE_SIGN_ON_NAME: &str = authority::SINGLE_SIGN_ON_NAME;
/// The Secret with its certificate.
pub const SINGLE_SIGN_ON_SECRET: &str = SINGLE_SIGN_ON_NAME;
/// The name of all that makes certificates.
const CERTGEN: &str = "envoy-gateway-certgen";
/// The ConfigMap with the controller's configuration.
const CONFIG: &str = "envoy-gateway-config";
/// The GatewayClass.
const CLASS: &str = "eg";

/// The image of this version.
pub const IMAGE: &str = concat!("docker.io/portcullis/portcullis:v", env!("CARGO_PKG_VERSION"));
/// The image of the rate limit service in this version.
pub const RATE_LIMIT_IMAGE: &str = concat!("docker.io/portcullis/portcullis-ratelimit:v", env!("CARGO_PKG_VERSION"));
/// The image of the single sign-on service in this version.
pub const SINGLE_SIGN_ON_IMAGE: &str = concat!("docker.io/portcullis/portcullis-oidc:v", env!("CARGO_PKG_VERSION"));
/// The namespace unless another is wanted.
pub const NAMESPACE: &str = "envoy-gateway-system";

/// The port of the Service at which Envoys get their configuration.
pub const XDS_PORT: u16 = 18000;
/// The port of the Service at which the services that Envoys ask get their configuration.
pub const RATE_LIMIT_PORT: u16 = 18001;

/// The ports of the Deployment and its Service.
const XDS: Port = Port { name: "grpc", number: XDS_PORT };
const RATE_LIMIT: Port = Port { name: "ratelimit", number: RATE_LIMIT_PORT };
const METRICS: Port = Port { name: "metrics", number: 19001 };
const WEBHOOK: Port = Port { name: "webhook", number: 9443 };
const HEALTH: Port = Port { name: "health", number: 8081 };

/// A port and its name.
#[derive(Clone, Copy)]
struct Port {
    name: &'static str,
    number: u16,
}

/// What an installation is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// The controller's namespace.
    pub namespace: String,
    /// The controller's image.
    pub image: String,
    /// The namespaces whose resources are read; empty for all. With some, no right is asked for in others.
    pub watched: Vec<String>,
    /// Where Envoys are run.
    pub deploy: KubernetesDeployType,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: NAMESPACE.to_owned(),
            image: IMAGE.to_owned(),
            watched: Vec::new(),
            deploy: KubernetesDeployType::default(),
        }
    }
}

impl Options {
    /// The name of what has no namespace. Installations in several namespaces need classes and controller names of their own.
    fn cluster_name(&self, name: &str) -> String {
        format!("{name}.{}", self.namespace)
    }

    /// The metadata of something in the controller's namespace.
    fn meta(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.namespace, "labels": labels(name)})
    }
}

/// The labels of an object. Its pods are found by them.
fn labels(name: &str) -> Value {
    json!({"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": NAME})
}

/// The metadata of something without a namespace.
fn cluster_meta(name: &str) -> Value {
    json!({"name": name, "labels": labels(NAME)})
}

/// The namespace. All pods fit the standard "restricted" until somebody's EnvoyProxy asks for more: that is told, not refused.
fn namespace(options: &Options) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": options.namespace,
        "labels": {"app.kubernetes.io/part-of": NAME, "pod-security.kubernetes.io/warn": "restricted"}}})
}

/// All objects, in the order in which they are to be made.
///
/// # Errors
/// None that can happen: a type that is no JSON.
pub fn objects(options: &Options) -> Result<Vec<Value>, serde_json::Error> {
    let mut objects = vec![namespace(options)];
    for crd in api::ext::crds() {
        objects.push(serde_json::to_value(crd)?);
    }
    objects.extend(rbac::controller(options));
    objects.extend(rbac::certgen(options));
    objects.extend(workload::objects(options));
    objects.push(json!({"apiVersion": format!("{}/v1", api::gateway::GROUP), "kind": "GatewayClass",
        "metadata": cluster_meta(CLASS), "spec": {"controllerName": CONTROLLER_NAME}}));
    Ok(objects)
}
