//! A service counts: `BackendTrafficPolicy.rateLimit.global`.

mod annotations;
mod check;

use std::sync::Arc;

use api::{
    Stored,
    ext::{BackendTrafficPolicy, BackendTrafficPolicySpec, backend_traffic_policy::rate_limit::RateLimitType},
};
use ir::{Features, features::GlobalRateLimit};

use crate::{
    problem::Problem,
    rules::{Compiled, RuleScope},
};

/// Puts a policy's limits into a rule's features.
pub(super) fn apply(
    policy: &BackendTrafficPolicy,
    spec: &BackendTrafficPolicySpec,
    rule: RuleScope<'_>,
    features: &mut Features,
    _: &mut Compiled,
) -> Result<(), Problem> {
    if spec.rate_limit.as_ref().is_some_and(|limit| limit.r#type == Some(RateLimitType::Local)) {
        return Err(Problem::new("Invalid", "rateLimit.type Local is not supported yet; use Global"));
    }
    let Some(global) = spec.rate_limit.as_ref().and_then(|limit| limit.global.as_ref()) else { return Ok(()) };
    if rule.scope.options.rate_limit_service.is_none() {
        let message =
            "rateLimit.global needs a rate limit service; name one in the controller's configuration (rateLimit)";
        return Err(Problem::new("Invalid", message));
    }
    check::rules(&global.rules)?;
    let counting = annotations::counting(policy)?;
    let (namespace, name) = (rule.route.namespace(), rule.route.name());
    features.rate_limit = Some(Arc::new(GlobalRateLimit {
        source: policy.reference(),
        domain: Arc::clone(&rule.scope.fleet().name),
        scope: format!("{}/{namespace}/{name}/rule/{}", rule.route.kind.as_str().to_lowercase(), rule.index),
        rules: global.rules.clone(),
        counting,
    }));
    Ok(())
}
