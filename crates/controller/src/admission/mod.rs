//! The validating webhook: what `portcullis validate` says of one resource by itself, said when it is applied.
//!
//! ```text
//! kubectl apply ─▶ API server ── AdmissionReview ─▶ review() ─▶ allowed, with warnings · refused, with the reasons
//! ```
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

#[cfg(test)]
mod tests;

use api::parse::kind_of;
use axum::{Json, Router, extract::DefaultBodyLimit, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::source::{
    Problem, Severity,
    examine::{describe, examine},
};

/// Where the API server asks.
pub const PATH: &str = "/validate";
/// An update brings two objects, of which etcd bounds each by 1.5 MiB.
const MOST: usize = 8 << 20;
/// So many are read at once: each is in memory as a whole.
const AT_ONCE: usize = 16;
/// The longest warning that the API server is sure to pass on.
const WARNING: usize = 256;

/// What the API server asks, and what it's answered (`admission.k8s.io/v1`).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    api_version: String,
    kind: String,
    #[serde(skip_serializing)]
    request: Request,
    #[serde(skip_deserializing)]
    response: Response,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// The webhook's one route.
pub fn routes() -> Router {
    let answer = |Json(mut review): Json<Review>| async {
        // Reading a large one takes a while: Envoys are not to wait for it.
        let judged = tokio::task::spawn_blocking(move || {
            review.response = decide(&mut review.request);
            review
        });
        judged.await.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    };
    let at_once = GlobalConcurrencyLimitLayer::new(AT_ONCE);
    Router::new().route(PATH, post(answer)).layer(DefaultBodyLimit::max(MOST)).layer(at_once)
}

/// Refuses what would not be read.
fn decide(request: &mut Request) -> Response {
    let uid = std::mem::take(&mut request.uid);
    let allowed = Response { uid, allowed: true, ..Response::default() };
    if !is_judged(request) {
        return allowed;
    }
    let document = request.object.take();
    let object = describe(&document);
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    for finding in examine(document).findings {
        let severity = finding.severity;
        let (object, field, what) = (object.clone(), finding.field, finding.what);
        let text = Problem { file: None, line: 0, severity, object, field, what }.to_string();
        match severity {
            Severity::Error => refusals.push(text),
            Severity::Warning => warnings.push(shortened(text)),
            Severity::Note => {}
        }
    }
    if refusals.is_empty() {
        return Response { warnings, ..allowed };
    }
    let status = Status { code: 422, reason: "Invalid", message: refusals.join("; ") };
    Response { allowed: false, status: Some(status), warnings, ..allowed }
}

/// Whether it's something new that is said. What stands there already is not refused again: whoever cleans up, labels or
/// deletes a bad resource must be able to.
fn is_judged(request: &Request) -> bool {
    let Request { operation, object, old_object, .. } = request;
    let is_written = matches!(operation.as_str(), "CREATE" | "UPDATE");
    let is_leaving = !object["metadata"]["deletionTimestamp"].is_null();
    let is_same = operation == "UPDATE" && object["spec"] == old_object["spec"];
    // Also a version that only a newer controller reads is none of ours.
    is_written && !is_leaving && !is_same && kind_of(object).is_ok()
}

fn shortened(mut text: String) -> String {
    if text.len() > WARNING {
        let end = (0..=WARNING - '…'.len_utf8()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
