//! `envoy.filters.http.ratelimit`: a service counts. One instance, as all limits of a fleet are in one domain; what is counted
//! says each route, see [`crate::rate_limit`].

use envoy::{
    core::{self},
    ext::http::ratelimit::{RateLimit, RateLimitPerRoute},
    ratelimit_config::RateLimitServiceConfig,
};
use ir::features::GlobalRateLimit;

use crate::{
    convert::grpc_service,
    http_filters::{Chain, Instance},
    rate_limit,
};

/// The name of the filter.
pub(crate) const NAME: &str = "envoy.filters.http.ratelimit";

/// On where something is counted: it asks only for routes that say what.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let (Some(domain), Some(cluster)) = (&chain.needs.rate_limit, &chain.scope.gateway.rate_limit_service) else {
        return Vec::new();
    };
    let settings = &chain.scope.settings.rate_limit;
    let filter = RateLimit {
        domain: domain.to_string(),
        failure_mode_deny: settings.fail_closed,
        timeout: Some(envoy::duration(settings.timeout)),
        rate_limit_service: Some(RateLimitServiceConfig {
            grpc_service: Some(grpc_service(cluster, "", None)),
            transport_api_version: core::ApiVersion::V3.into(),
        }),
        // `x-envoy-ratelimited` tells about the inside; clients get 429.
        disable_x_envoy_ratelimited_header: true,
        ..Default::default()
    };
    vec![Instance::on(NAME, &filter)]
}

/// What a route says: what is counted.
pub(super) fn per_route(limit: &GlobalRateLimit) -> RateLimitPerRoute {
    RateLimitPerRoute { rate_limits: rate_limit::of_route(limit), ..Default::default() }
}
