//! Decisions as answers to Envoy: codes, limits, headers and dynamic metadata.

mod headers;
mod metadata;

use envoy::service::ratelimit::rate_limit_response::{Code, DescriptorStatus, RateLimit};
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};

use crate::decide::Status;
use crate::limit::{Limit, Millis};

pub use headers::{Headers, Standard};

/// What answers carry beside the codes.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Headers for the client.
    pub headers: Headers,
    /// Whether the request is described in the dynamic metadata, as the reference does on demand.
    pub metadata: bool,
}

/// The answer to a request.
pub fn response(
    request: &RateLimitRequest,
    statuses: &[Status<'_>],
    refused: bool,
    answers: &Answers,
) -> RateLimitResponse {
    RateLimitResponse {
        overall_code: code(refused),
        statuses: statuses.iter().map(status).collect(),
        response_headers_to_add: answers.headers.of(statuses, refused),
        dynamic_metadata: metadata::of(request, statuses, answers.metadata),
        ..RateLimitResponse::default()
    }
}

fn code(refused: bool) -> i32 {
    if refused { Code::OverLimit.into() } else { Code::Ok.into() }
}

fn status(status: &Status<'_>) -> DescriptorStatus {
    // Over a quota the reference leaves the time out.
    let has_time = status.limit.is_some() && !status.over_quota;
    DescriptorStatus {
        code: code(status.refuses),
        current_limit: status.limit.map(|(limit, name)| current(&limit, name)),
        limit_remaining: status.remaining,
        duration_until_reset: has_time.then(|| duration(status.reset)),
        quota: None,
    }
}

fn current(limit: &Limit, name: &str) -> RateLimit {
    RateLimit { name: name.to_owned(), requests_per_unit: limit.requests, unit: limit.unit.number() }
}

fn duration(millis: Millis) -> envoy::Duration {
    let nanos = i32::try_from(millis % 1000 * 1_000_000).expect("less than a second");
    envoy::Duration { seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX), nanos }
}
