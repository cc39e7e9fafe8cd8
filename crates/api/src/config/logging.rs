//! The controller's own log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The controller's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logging {
    /// How much each component logs; `default` is for those that aren't named, and `info` unless set.
    #[serde(default = "default_level")]
    pub level: BTreeMap<Component, Level>,
    /// The form of a line; `Text` unless set.
    #[serde(default)]
    pub encoder: Encoder,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: default_level(), encoder: Encoder::default() }
    }
}

fn default_level() -> BTreeMap<Component, Level> {
    BTreeMap::from([(Component::Default, Level::Info)])
}

impl Logging {
    /// How much a component logs.
    pub fn level(&self, component: Component) -> Level {
        let level = |component| self.level.get(&component).copied();
        level(component).or_else(|| level(Component::Default)).unwrap_or(Level::Info)
    }
}

/// A component whose log can be louder or quieter than the others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// All that aren't named.
    Default,
    /// The sources of resources: files, Kubernetes, facts.
    Provider,
    /// From resources to resolved gateways.
    GatewayApi,
    /// From resolved gateways to Envoy's resources.
    XdsTranslator,
    /// The server that Envoys get their configuration from.
    XdsServer,
    /// The cache of that server.
    Xds,
    /// What runs Envoy.
    Infrastructure,
    /// The configuration of the rate limit service.
    #[serde(rename = "global-ratelimit")]
    GlobalRateLimit,
}

impl Component {
    /// All components but the default.
    pub const ALL: [Self; 7] = [
        Self::Provider,
        Self::GatewayApi,
        Self::XdsTranslator,
        Self::XdsServer,
        Self::Xds,
        Self::Infrastructure,
        Self::GlobalRateLimit,
    ];
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may need someone.
    Warn,
    /// What needs someone.
    Error,
}

impl Level {
    /// The level as a filter of `tracing` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoder {
    /// For people.
    #[default]
    Text,
    /// For machines.
    JSON,
}
