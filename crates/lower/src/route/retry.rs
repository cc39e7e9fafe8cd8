//! Further tries.

use envoy::{
    ext::retry::previous_hosts::PreviousHostsPredicate,
    route::{
        RetryPolicy,
        retry_policy::{RetryBackOff, RetryHostPredicate, retry_host_predicate::ConfigType},
    },
};
use ir::Forward;

/// Failures after which a request is tried again whatever the codes: the connection could not be made, or it broke before
/// there was an answer, or the try took too long. The Gateway API (GEP-1731) asks for these wherever a rule has `retry`.
const ALWAYS: &str = "connect-failure,refused-stream,reset";

/// How often another end point is looked for that was not tried yet, before any is taken. As Envoy Gateway has it.
const HOST_ATTEMPTS: i64 = 5;

/// The retry policy of a route.
pub(super) fn policy(forward: &Forward) -> Option<RetryPolicy> {
    let retry = forward.retry.as_ref()?;
    let retry_on = if retry.codes.is_empty() { ALWAYS.to_owned() } else { format!("{ALWAYS},retriable-status-codes") };
    Some(RetryPolicy {
        retry_on,
        num_retries: Some(retry.attempts),
        per_try_timeout: forward.try_timeout.map(envoy::duration),
        retriable_status_codes: retry.codes.clone(),
        // Envoy's longest wait is ten times the base unless set, which is what we want too. Its base must be positive.
        retry_back_off: retry
            .backoff
            .filter(|base| !base.is_zero())
            .map(|base| RetryBackOff { base_interval: Some(envoy::duration(base)), max_interval: None }),
        retry_host_predicate: vec![RetryHostPredicate {
            name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
            config_type: Some(ConfigType::TypedConfig(envoy::any(&PreviousHostsPredicate {}))),
        }],
        host_selection_retry_max_attempts: HOST_ATTEMPTS,
        ..Default::default()
    })
}
