//! The rate limit service, named and labelled as Envoy Gateway's. It counts in Redis.

mod env;
#[cfg(test)]
mod tests;

use api::config::{Kubernetes, RateLimit, RateLimitRedis};

use super::{
    Error, Settings,
    asked::{self, Asked, AskedService, Files, Run},
    names::Place,
};
use crate::install::{RATE_LIMIT_IMAGE, RATE_LIMIT_SECRET};

/// Where Envoys ask it.
pub const PORT: u16 = 8081;
const HTTP: u16 = 8080;
const METRICS: u16 = 19001;
/// Where its certificate for Redis is.
const REDIS: &str = "/redis-certs";

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

    /// The service with its objects.
    ///
    /// # Errors
    /// A patch in the configuration cannot be used.
    pub fn render(&self, settings: &Settings) -> Result<AskedService, Error> {
        let place = Place::of_rate_limit(settings);
        let Kubernetes { rate_limit_deployment, rate_limit_hpa, rate_limit_pdb, .. } = &self.kubernetes;
        let mut ports = vec![("grpc", PORT, true), ("http", HTTP, false)];
        ports.extend(self.has_metrics().then_some(("metrics", METRICS, true)));
        let objects = asked::objects(&Asked {
            place: &place,
            run: Run {
                deployment: ("rateLimitDeployment", rate_limit_deployment.as_ref()),
                hpa: ("rateLimitHpa", rate_limit_hpa.as_ref()),
                pdb: ("rateLimitPDB", rate_limit_pdb.as_ref()),
            },
            container: "envoy-ratelimit",
            image: RATE_LIMIT_IMAGE,
            args: Vec::new(),
            env: env::variables(self, settings),
            ports,
            metrics: self.has_metrics().then_some(("/metrics", METRICS)),
            secrets: self.secrets(),
            // When it has the limits and Redis has answered once.
            ready: ("/healthcheck", HTTP),
        })?;
        Ok(AskedService {
            name: "(rate limit service)",
            // What it's asked for would be refused until it's there.
            in_any_case: self.config.fail_closed,
            is_needed_by: |gateway| gateway.rate_limit_service.is_some(),
            owner: place.selector,
            objects,
        })
    }

    /// Whether it has a page of metrics.
    fn has_metrics(&self) -> bool {
        let metrics = self.config.telemetry.as_ref().and_then(|telemetry| telemetry.metrics);
        !metrics.is_some_and(|metrics| metrics.prometheus.disable)
    }

    fn secrets(&self) -> Vec<Files> {
        let redis = self.redis.tls.as_ref().and_then(|tls| tls.certificate_ref.as_ref());
        let redis = redis.map(|reference| Files("redis-certs", REDIS, reference.name.clone()));
        [Files("certs", asked::CERTIFICATES, RATE_LIMIT_SECRET.to_owned())].into_iter().chain(redis).collect()
    }
}
