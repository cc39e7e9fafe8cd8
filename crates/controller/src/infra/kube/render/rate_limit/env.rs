//! What the service is told by its environment, in the words of the reference service: so no configuration has to lie beside
//! it, and where Redis is may stand in a Secret.

use api::config::RateLimitRedis;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource};

use super::{METRICS, PORT, REDIS, RateLimitService};
use crate::{
    authority::{RATE_LIMIT_NAME, SERVER_NAME},
    infra::kube::render::{
        Settings,
        asked::{CERTIFICATES, CONNECTION_AGE, DRAIN_DELAY},
    },
    install::{NAME, RATE_LIMIT_PORT},
};

pub(super) fn variables(service: &RateLimitService, settings: &Settings) -> Vec<EnvVar> {
    let file = |name: &str| format!("{CERTIFICATES}/{name}");
    let mut variables = vec![
        value("GRPC_PORT", PORT.to_string()),
        value("GRPC_MAX_CONNECTION_AGE", CONNECTION_AGE),
        value("GRPC_SERVER_USE_TLS", "true"),
        value("GRPC_SERVER_TLS_CERT", file("tls.crt")),
        value("GRPC_SERVER_TLS_KEY", file("tls.key")),
        value("GRPC_CLIENT_TLS_CACERT", file("ca.crt")),
        value("CONFIG_TYPE", "GRPC_XDS_SOTW"),
        value("CONFIG_GRPC_XDS_NODE_ID", RATE_LIMIT_NAME),
        value("CONFIG_GRPC_XDS_SERVER_URL", format!("{NAME}.{}.svc:{RATE_LIMIT_PORT}", settings.namespace)),
        value("CONFIG_GRPC_XDS_SERVER_USE_TLS", "true"),
        value("CONFIG_GRPC_XDS_SERVER_TLS_CACERT", file("ca.crt")),
        value("CONFIG_GRPC_XDS_SERVER_TLS_SAN", SERVER_NAME),
        value("CONFIG_GRPC_XDS_CLIENT_TLS_CERT", file("tls.crt")),
        value("CONFIG_GRPC_XDS_CLIENT_TLS_KEY", file("tls.key")),
        value("DRAIN_DELAY", DRAIN_DELAY),
    ];
    variables.extend(redis(&service.redis));
    variables.extend(telemetry(service));
    variables
}

fn redis(redis: &RateLimitRedis) -> Vec<EnvVar> {
    let url = match &redis.url_ref {
        Some(reference) => EnvVar {
            name: "REDIS_URL".to_owned(),
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(reference.secret_key_ref.clone()),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        },
        None => value("REDIS_URL", redis.url.as_deref().unwrap_or_default()),
    };
    let mut variables = vec![value("REDIS_SOCKET_TYPE", "tcp"), url];
    let Some(tls) = &redis.tls else { return variables };
    variables.push(value("REDIS_TLS", "true"));
    if tls.certificate_ref.is_some() {
        for (name, file) in [("CACERT", "ca.crt"), ("CLIENT_CERT", "tls.crt"), ("CLIENT_KEY", "tls.key")] {
            variables.push(value(&format!("REDIS_TLS_{name}"), format!("{REDIS}/{file}")));
        }
    }
    variables
}

fn telemetry(service: &RateLimitService) -> Vec<EnvVar> {
    let mut variables = Vec::new();
    if service.has_metrics() {
        variables.extend([value("USE_PROMETHEUS", "true"), value("PROMETHEUS_ADDR", format!(":{METRICS}"))]);
    }
    if let Some(tracing) = service.config.telemetry.as_ref().and_then(|telemetry| telemetry.tracing.as_ref()) {
        variables.extend([
            value("TRACING_ENABLED", "true"),
            value("TRACING_SAMPLING_RATE", (f64::from(tracing.sampling_rate) / 100.0).to_string()),
            value("OTEL_EXPORTER_OTLP_ENDPOINT", &tracing.provider.url),
        ]);
    }
    variables
}

fn value(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), ..EnvVar::default() }
}
