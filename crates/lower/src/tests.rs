//! The whole of small gateways: as JSON that a reader can check (`snapshots/`), each accepted by a real Envoy, and some
//! served by one.

mod backends;
mod bootstraps;
mod changes;
mod filters;
mod listeners;
mod live;
mod routes;
mod telemetry;
