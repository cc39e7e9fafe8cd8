//! `EnvoyProxy`: how Envoy itself is run, for a GatewayClass or a Gateway.

pub mod access_log;
pub mod bootstrap;
pub mod metrics;
pub mod provider;
pub mod telemetry;
pub mod tracing;

use std::{collections::BTreeMap, time};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    bootstrap::Bootstrap,
    provider::{Provider, kubernetes::KubernetesProvider},
    telemetry::Telemetry,
};
use super::{
    common::SecretObjectReference,
    duration::Duration,
    tls::{TlsVersion, ciphers_need_tls_1_2, versions_are_a_range},
};

/// How Envoy is run.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.envoyproxy.io",
    version = "v1alpha1",
    kind = "EnvoyProxy",
    plural = "envoyproxies",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    shortname = "eproxy",
    category = "envoy-gateway",
    doc = "How the Envoys of a GatewayClass or Gateway are run, logged and observed."
)]
pub struct EnvoyProxySpec {
    /// Where Envoy is run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Envoy's own log.
    #[serde(default)]
    pub logging: Logging,
    /// Access logs, metrics and traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// What Envoy is started with, in place of or merged into what we start it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// The threads that work on requests; one for each core unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<i32>,
    /// Whether requests go to the end points of a Service, or to its address; `Endpoint` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub routing_type: Option<RoutingType>,
    /// Further arguments on Envoy's command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    /// Whether all Gateways of the class share one Envoy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_gateways: Option<bool>,
    /// How Envoy stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<Shutdown>,
    /// TLS towards back ends, where nothing nearer says otherwise.
    #[serde(rename = "backendTLS", skip_serializing_if = "Option::is_none")]
    pub backend_tls: Option<BackendTlsConfig>,
    /// Addresses that Envoy listens on and connects to; IPv4 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family: Option<IpFamily>,
}

/// Envoy's own log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// The level of each component (`admin`, `http`, `upstream`, …): `trace`, `debug`, `info`, `warn`, `error`,
    /// `critical` or `off`; `default` is for all others.
    #[serde(default = "default_level")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub level: BTreeMap<String, LogLevel>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: default_level() }
    }
}

fn default_level() -> BTreeMap<String, LogLevel> {
    BTreeMap::from([("default".to_owned(), LogLevel::Warn)])
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
    Off,
}

impl LogLevel {
    /// The level as Envoy's command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Off => "off",
        }
    }
}

/// Where requests for a Service go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoutingType {
    /// To its end points; Envoy balances.
    Endpoint,
    /// To its address; whoever serves that balances.
    Service,
}

/// Address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IpFamily {
    /// IPv4 only.
    IPv4,
    /// IPv6 only.
    IPv6,
    /// Both.
    DualStack,
}

/// How Envoy stops.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// How long requests in flight are waited for; 60 s unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<Duration>,
    /// How long Envoy goes on in any case, for load balancers that have not heard yet; 10 s unless set. In Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_drain_duration: Option<Duration>,
    /// How long Envoy says to be healthy after its connections have begun to drain; not at all unless set. In Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_failure_delay: Option<Duration>,
}

impl Shutdown {
    /// How long requests in flight are waited for, unless it's said.
    pub const DRAIN_TIMEOUT: time::Duration = time::Duration::from_secs(60);
    /// How long Envoy goes on in any case, unless it's said.
    pub const MIN_DRAIN: time::Duration = time::Duration::from_secs(10);
}

impl EnvoyProxySpec {
    /// How long requests in flight are waited for.
    pub fn drain_timeout(&self) -> time::Duration {
        self.shutdown(|shutdown| shutdown.drain_timeout.as_ref()).unwrap_or(Shutdown::DRAIN_TIMEOUT)
    }

    /// How long Envoy goes on in any case.
    pub fn min_drain(&self) -> time::Duration {
        self.shutdown(|shutdown| shutdown.min_drain_duration.as_ref()).unwrap_or(Shutdown::MIN_DRAIN)
    }

    /// How long Envoy says to be healthy while it drains.
    pub fn health_check_failure_delay(&self) -> time::Duration {
        self.shutdown(|shutdown| shutdown.health_check_failure_delay.as_ref()).unwrap_or_default()
    }

    fn shutdown(&self, field: impl Fn(&Shutdown) -> Option<&Duration>) -> Option<time::Duration> {
        field(self.shutdown.as_ref()?)?.parse().ok()
    }

    /// How Envoy is run in Kubernetes, where it's said.
    pub fn kubernetes(&self) -> Option<&KubernetesProvider> {
        self.provider.as_ref()?.kubernetes.as_ref()
    }
}

/// TLS towards back ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ciphers_need_tls_1_2())]
#[x_kube(validation = versions_are_a_range())]
pub struct BackendTlsConfig {
    /// A Secret with the certificate and key that Envoy shows to back ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretObjectReference>,
    /// The earliest version of TLS; 1.2 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// The latest version of TLS; 1.3 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Cipher suites up to TLS 1.2, by their OpenSSL names, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ciphers: Vec<String>,
    /// Curves for the key exchange, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ecdh_curves: Vec<String>,
    /// Signature algorithms, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signature_algorithms: Vec<String>,
    /// Protocols offered by ALPN; `h2` and `http/1.1` unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn_protocols: Vec<String>,
}
