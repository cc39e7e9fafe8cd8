//! `EnvoyGateway`: the controller's own configuration, one file read at start.
//!
//! It has the shape of a resource (`apiVersion`, `kind`), but is none: it has no metadata, and every field that it
//! does not know is an error. Only what works is declared.

mod kubernetes;
mod kubernetes_deploy;
mod kubernetes_listen;
mod logging;
mod provider;
mod rate_limit;
mod rate_limit_backend;
mod single_sign_on;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::{
    kubernetes::{Client, ClientRateLimit, Kubernetes, LeaderElection, LeaderTimes, Watch, WatchType},
    kubernetes_deploy::{KubernetesDeploy, KubernetesDeployType, ShutdownManager},
    kubernetes_listen::KubernetesListen,
    logging::{Component, Encoder, Level, Logging},
    provider::{
        Custom, FileResources, HostInfrastructure, Infrastructure, InfrastructureType, Provider, ProviderType,
        Resources, ResourcesType,
    },
    rate_limit::{RateLimit, RateLimitService},
    rate_limit_backend::{
        RateLimitBackend, RateLimitBackendType, RateLimitMetrics, RateLimitRedis, RateLimitTelemetry, RateLimitTracing,
        RateLimitTracingProvider, RateLimitTracingProviderType, RedisTls, RedisUrlRef,
    },
    single_sign_on::{ServedPolicies, SingleSignOn, SingleSignOnRun, SingleSignOnService},
};
use crate::ext::{Duration, EnvoyProxySpec, GROUP, VERSION};

/// The kind of the configuration, as in `kind:`.
pub const KIND: &str = "EnvoyGateway";

/// The name by which GatewayClasses ask for this controller, unless configured.
pub const CONTROLLER_NAME: &str = "gateway.envoyproxy.io/gatewayclass-controller";

/// The controller's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvoyGateway {
    /// `gateway.envoyproxy.io/v1alpha1`
    pub api_version: String,
    /// `EnvoyGateway`
    pub kind: String,
    /// Which GatewayClasses are ours.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where resources come from and where Envoy is run.
    #[serde(default)]
    pub provider: Provider,
    /// The extension APIs that are on; those that can harm others are off unless set.
    #[serde(default, rename = "extensionApis")]
    pub extension_apis: ExtensionApis,
    /// The controller's own log.
    #[serde(default)]
    pub logging: Logging,
    /// The admin page.
    #[serde(default)]
    pub admin: Admin,
    /// The controller's own metrics.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// The server that Envoys get their configuration from.
    #[serde(default)]
    pub xds_server: XdsServer,
    /// The rate limit service; without it no policy can have a global rate limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// The single sign-on service; without it no policy can have people log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_sign_on: Option<SingleSignOn>,
    /// How Envoys are run whose Gateway and GatewayClass name no EnvoyProxy.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub envoy_proxy: Option<EnvoyProxySpec>,
}

impl Default for EnvoyGateway {
    fn default() -> Self {
        Self {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: KIND.to_owned(),
            gateway: Gateway::default(),
            provider: Provider::default(),
            extension_apis: ExtensionApis::default(),
            logging: Logging::default(),
            admin: Admin::default(),
            telemetry: Telemetry::default(),
            xds_server: XdsServer::default(),
            rate_limit: None,
            single_sign_on: None,
            envoy_proxy: None,
        }
    }
}

impl EnvoyGateway {
    /// What is wrong with it though every field has the right type: one line each, with the field and how to mend it.
    pub fn validate(&self) -> Vec<String> {
        let mut found = Vec::new();
        let version = format!("{GROUP}/{VERSION}");
        if self.api_version != version {
            found.push(format!("apiVersion: {:?} is not known; write {version}", self.api_version));
        }
        if self.kind != KIND {
            found.push(format!("kind: {:?} is not a configuration of the controller; write {KIND}", self.kind));
        }
        if !is_domain_path(&self.gateway.controller_name) {
            let name = &self.gateway.controller_name;
            found.push(format!(
                "gateway.controllerName: {name:?} is not a domain and a path, such as {CONTROLLER_NAME}"
            ));
        }
        self.provider.validate(&mut found);
        if let Some(rate_limit) = &self.rate_limit {
            rate_limit.validate(self.provider.r#type == ProviderType::Kubernetes, &mut found);
        }
        if let Some(single_sign_on) = &self.single_sign_on {
            let other = self.rate_limit.as_ref().and_then(|limit| limit.config_address.as_deref());
            single_sign_on.validate(self.provider.r#type == ProviderType::Kubernetes, other, &mut found);
        }
        if self.admin.enable_pprof {
            found.push("admin.enablePprof: there is no Go runtime to profile; leave it out".to_owned());
        }
        for (field, value) in [
            ("maxConnectionAge", &self.xds_server.max_connection_age),
            ("maxConnectionAgeGrace", &self.xds_server.max_connection_age_grace),
        ] {
            if let Some(Err(error)) = value.as_ref().map(Duration::parse) {
                found.push(format!("xdsServer.{field}: {error}"));
            }
        }
        found
    }

    /// What is asked for but has no effect, in words for a log.
    pub fn without_effect(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.extension_apis.enable_envoy_patch_policy {
            found.push("extensionApis.enableEnvoyPatchPolicy: EnvoyPatchPolicy is not read yet".to_owned());
        }
        let infrastructure = self.provider.custom.as_ref().and_then(|custom| custom.infrastructure.as_ref());
        if let Some(host) = infrastructure.and_then(|infrastructure| infrastructure.host.as_ref())
            && (host.config_home.is_some() || host.state_home.is_some())
        {
            found.push("provider.custom.infrastructure.host: nothing is kept in configHome and stateHome".to_owned());
        }
        let runs_service = self.rate_limit.as_ref().is_some_and(|rate_limit| rate_limit.backend.is_some());
        if !runs_service && self.provider.kubernetes.as_ref().is_some_and(Kubernetes::shapes_rate_limit) {
            found.push(
                "provider.kubernetes.rateLimitDeployment, rateLimitHpa, rateLimitPDB: there is no rateLimit.backend"
                    .to_owned(),
            );
        }
        let runs_logins = self.single_sign_on.as_ref().is_some_and(|logins| logins.run.is_some());
        if !runs_logins && self.provider.kubernetes.as_ref().is_some_and(Kubernetes::shapes_single_sign_on) {
            found.push(
                "provider.kubernetes.singleSignOnDeployment, singleSignOnHpa, singleSignOnPDB: there is no singleSignOn.run"
                    .to_owned(),
            );
        }
        let XdsServer { max_connection_age, max_connection_age_grace } = &self.xds_server;
        if max_connection_age.is_some() || max_connection_age_grace.is_some() {
            found.push("xdsServer: an Envoy keeps its one connection, however old".to_owned());
        }
        found
    }
}

/// Which GatewayClasses are ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// The `spec.controllerName` of our GatewayClasses.
    #[serde(default = "controller_name")]
    pub controller_name: String,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { controller_name: controller_name() }
    }
}

fn controller_name() -> String {
    CONTROLLER_NAME.to_owned()
}

/// The extension APIs that are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtensionApis {
    /// Whether `Backend` resources are read. Who may write them can have Envoy connect to any address that it reaches.
    #[serde(default)]
    pub enable_backend: bool,
    /// Whether `EnvoyPatchPolicy` resources are read. Who may write them can change anything in Envoy.
    #[serde(default)]
    pub enable_envoy_patch_policy: bool,
}

impl ExtensionApis {
    /// All on, as for offline translation without a configuration.
    pub const ALL: Self = Self { enable_backend: true, enable_envoy_patch_policy: true };
}

/// The admin page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admin {
    /// Where it listens.
    #[serde(default)]
    pub address: AdminAddress,
    /// Whether the configuration is written to the log at start.
    #[serde(default)]
    pub enable_dump_config: bool,
    /// Whether profiles of the Go runtime are served. There are none here: `true` is an error.
    #[serde(default)]
    pub enable_pprof: bool,
}

/// Where the admin page listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdminAddress {
    /// The address; 127.0.0.1 unless set. The page asks for no password.
    #[serde(default = "admin_host")]
    pub host: String,
    /// The port; 19000 unless set, 0 for any that is free.
    #[serde(default = "admin_port")]
    pub port: u16,
}

impl Default for AdminAddress {
    fn default() -> Self {
        Self { host: admin_host(), port: admin_port() }
    }
}

fn admin_host() -> String {
    "127.0.0.1".to_owned()
}

fn admin_port() -> u16 {
    19000
}

/// The controller's own telemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Telemetry {
    /// The controller's own metrics.
    #[serde(default)]
    pub metrics: Metrics,
}

/// The controller's own metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metrics {
    /// For Prometheus to fetch.
    #[serde(default)]
    pub prometheus: Prometheus,
}

/// Metrics for Prometheus to fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prometheus {
    /// Whether there is no page of metrics.
    #[serde(default)]
    pub disable: bool,
}

/// The server that Envoys get their configuration from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct XdsServer {
    /// After how long a connection is closed, so that Envoys spread over all controllers; between 10 h and 12 h
    /// unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connection_age: Option<Duration>,
    /// How long a closing connection may go on; 2 min unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connection_age_grace: Option<Duration>,
}

/// Whether it's a controller's name: a domain, a slash and a path (GEP-709 calls it a domain-prefixed path).
fn is_domain_path(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    name.len() <= 253
        && name
            .split_once('/')
            .is_some_and(|(domain, rest)| domain.split('.').all(label) && !rest.is_empty() && rest.bytes().all(path))
}

/// Reads a resource's spec, whose type lets unknown fields pass, with an error for each of them.
fn strict<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut unknown = Vec::new();
    let read = serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string().replace("?.", "")))?;
    match unknown.as_slice() {
        [] => Ok(read),
        fields => Err(serde::de::Error::custom(format!("unknown field `{}`", fields.join("`, `")))),
    }
}
