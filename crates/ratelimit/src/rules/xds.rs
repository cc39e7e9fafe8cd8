//! Rules from a control plane: each answer taken whole or refused with the reason.

use std::sync::Arc;

use envoy::rls_conf::RateLimitConfig;
use envoy::type_url::RATE_LIMIT_CONFIG;
use kit::Kit;
use kit::health::Gate;
use kit::tasks::BoxError;
use xds::client::{Settings, Wish, follow as follow_plane};

use super::{Rules, compile, domain_of_proto};
use crate::decide::Limiter;
use crate::metrics::Metrics;

const WISH: Wish = Wish { what: "rules", service: "ratelimit", type_url: RATE_LIMIT_CONFIG };

/// Follows a control plane until the process stops; the gate opens with the first rules.
pub(crate) async fn follow(
    kit: &Kit,
    settings: &Settings,
    limiter: &Arc<Limiter>,
    metrics: &Arc<Metrics>,
    gate: Gate,
) -> Result<(), BoxError> {
    let (limiter, metrics) = (Arc::clone(limiter), Arc::clone(metrics));
    let take = move |resources: &[envoy::Any]| {
        let rules = rules(resources);
        metrics.updates.with_label_values(&[if rules.is_ok() { "ack" } else { "nack" }]).inc();
        limiter.set_rules(rules?);
        gate.open();
        Ok(())
    };
    follow_plane(kit, settings, WISH, take).await
}

/// The rules of all resources of an answer.
fn rules(resources: &[envoy::Any]) -> Result<Rules, String> {
    let (mut names, mut domains) = (Vec::new(), Vec::new());
    for resource in resources {
        let config = envoy::unpack::<RateLimitConfig>(resource)
            .ok_or_else(|| format!("a resource of type {}", resource.type_url))?
            .map_err(|error| format!("a resource that cannot be read: {error}"))?;
        names.push(config.name.clone());
        domains.push(domain_of_proto(config).map_err(|error| format!("{}: {error}", names[names.len() - 1]))?);
    }
    compile(&domains).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{}: {problem}", names[problem.place.source]));
        lines.collect::<Vec<_>>().join("\n")
    })
}
