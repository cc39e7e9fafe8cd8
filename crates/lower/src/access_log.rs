//! Access logs.

use envoy::accesslog::AccessLog;

use crate::scope::Scope;

/// Of requests.
pub(crate) fn of_requests(_: &Scope<'_>) -> Vec<AccessLog> {
    Vec::new()
}
/// Of connections that are passed on as bytes.
pub(crate) fn of_connections(_: &Scope<'_>) -> Vec<AccessLog> {
    Vec::new()
}
/// Of connections that no chain takes.
pub(crate) fn of_listener(_: &Scope<'_>) -> Vec<AccessLog> {
    Vec::new()
}
/// Of tries.
pub(crate) fn of_tries(_: &Scope<'_>) -> Vec<AccessLog> {
    Vec::new()
}
/// Whether a log asks for what a route was made from.
pub(crate) fn reads_route_metadata(_: &Scope<'_>) -> bool {
    false
}
