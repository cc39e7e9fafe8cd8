//! The HTTP side: rate limits as JSON for clients without gRPC, and the reference's pages for operators.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use envoy::json;
use envoy::service::ratelimit::RateLimitRequest;
use envoy::service::ratelimit::rate_limit_response::Code;
use kit::Kit;
use kit::top::Count;

use crate::clock;
use crate::decide::Limiter;

/// What is served on the HTTP port, which knows nobody: it answers for limits only where all may ask for them.
pub(crate) fn public(kit: &Kit, limiter: Arc<Limiter>, all_may_ask: bool) -> Router {
    let gates = kit.gates.clone();
    let healthy = move || async move {
        if gates.readiness().is_ready() {
            (StatusCode::OK, "OK")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "NOT OK")
        }
    };
    let router = Router::new().route("/healthcheck", get(healthy));
    if all_may_ask { router.route("/json", post(ask)).with_state(limiter) } else { router.with_state(limiter) }
}

/// What is added to the admin port.
pub(crate) fn admin(kit: &Kit, limiter: Arc<Limiter>) -> Router {
    let metrics = kit.metrics.clone();
    let stats = move || async move { stats(&metrics.text()) };
    Router::new()
        .route("/json", post(ask))
        .route("/rlconfig", get(rules))
        .route("/stats", get(stats))
        .route("/top", get(top))
        .with_state(limiter)
}

/// Answers a request in JSON with 200, or with 429 when it is refused.
async fn ask(State(limiter): State<Arc<Limiter>>, body: Bytes) -> Response {
    let parsed = serde_json::from_slice(&body).map_err(|error| error.to_string());
    let request =
        parsed.and_then(|value| json::parse_as::<RateLimitRequest>(&value).map_err(|error| error.to_string()));
    let request = match request {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let response = match limiter.decide(&request, clock::now()).await {
        Ok(response) => response,
        Err(malformed) => return (StatusCode::BAD_REQUEST, format!("{malformed}\n")).into_response(),
    };
    let refused = response.overall_code() == Code::OverLimit;
    let status = if refused { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    match json::camel_case(&response) {
        Ok(value) => (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn rules(State(limiter): State<Arc<Limiter>>) -> String {
    limiter.rules().rules.dump()
}

async fn top(State(limiter): State<Arc<Limiter>>) -> Json<Vec<Count>> {
    Json(limiter.top(clock::now()))
}

/// All metrics in the form `name: value`.
fn stats(text: &str) -> String {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| format!("{name}: {value}\n")).collect()
}
