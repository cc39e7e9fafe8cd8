//! Traces.
use envoy::hcm::http_connection_manager::Tracing;

use crate::scope::Scope;

/// Of requests.
pub(crate) fn of_requests(_: &Scope<'_>) -> Option<Tracing> {
    None
}
