//! The rate limit service as the controller runs it: where it counts, and what it tells.

use k8s_openapi::api::core::v1::SecretKeySelector;
use serde::{Deserialize, Serialize};

use super::{Prometheus, strict};
use crate::ext::common::SecretObjectReference;

/// Where the service counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitBackend {
    /// In Redis.
    pub r#type: RateLimitBackendType,
    /// With `type: Redis`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RateLimitRedis>,
}

/// Where the service counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateLimitBackendType {
    /// In Redis.
    Redis,
}

/// A Redis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitRedis {
    /// Its host and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The same in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_ref: Option<RedisUrlRef>,
    /// TLS; plain text unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RedisTls>,
}

/// Where a Redis is, in a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisUrlRef {
    /// A key of a Secret in the controller's namespace.
    #[serde(deserialize_with = "strict")]
    pub secret_key_ref: SecretKeySelector,
}

/// TLS to Redis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisTls {
    /// A Secret of the controller's namespace with `tls.crt` and `tls.key`, which the service shows, and `ca.crt`, by which it
    /// knows Redis. Without one it shows nothing and trusts whom the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub certificate_ref: Option<SecretObjectReference>,
}

/// What the service tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitTelemetry {
    /// Its metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<RateLimitMetrics>,
    /// Its traces; none unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<RateLimitTracing>,
}

/// The metrics of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitMetrics {
    /// For Prometheus to fetch.
    #[serde(default)]
    pub prometheus: Prometheus,
}

/// The traces of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitTracing {
    /// How many of a hundred calls are traced that come without a decision; all unless set.
    #[serde(default = "all")]
    pub sampling_rate: u8,
    /// Where they go.
    pub provider: RateLimitTracingProvider,
}

fn all() -> u8 {
    100
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitTracingProvider {
    /// By OpenTelemetry's protocol.
    #[serde(default)]
    pub r#type: RateLimitTracingProviderType,
    /// The collector's endpoint for gRPC: `http://collector:4317`.
    pub url: String,
}

/// How traces are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateLimitTracingProviderType {
    /// By OpenTelemetry's protocol.
    #[default]
    OpenTelemetry,
}

impl RateLimitBackend {
    pub(super) fn validate(&self, found: &mut Vec<String>) {
        let Some(redis) = &self.redis else {
            found.push("rateLimit.backend.redis: is missing; `type: Redis` needs it, with `url`".to_owned());
            return;
        };
        match (&redis.url, &redis.url_ref) {
            (Some(url), None) if url.is_empty() => {
                found.push("rateLimit.backend.redis.url: is empty; write host and port, such as redis:6379".to_owned());
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => found.push("rateLimit.backend.redis: set one of `url` and `urlRef`".to_owned()),
        }
        let Some(reference) = redis.tls.as_ref().and_then(|tls| tls.certificate_ref.as_ref()) else { return };
        if !reference.group.is_empty() || reference.kind != "Secret" || reference.namespace.is_some() {
            found.push(
                "rateLimit.backend.redis.tls.certificateRef: is not a Secret of the controller's namespace; write its name only"
                    .to_owned(),
            );
        }
    }
}

impl RateLimitTelemetry {
    pub(super) fn validate(&self, found: &mut Vec<String>) {
        let Some(tracing) = &self.tracing else { return };
        if tracing.sampling_rate > 100 {
            let rate = tracing.sampling_rate;
            found.push(format!("rateLimit.telemetry.tracing.samplingRate: is {rate}, allowed: 0 to 100"));
        }
        if !["http://", "https://"].iter().any(|scheme| tracing.provider.url.starts_with(scheme)) {
            found.push(
                "rateLimit.telemetry.tracing.provider.url: is not an endpoint such as http://collector:4317".to_owned(),
            );
        }
    }
}
