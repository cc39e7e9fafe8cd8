//! The dashboards, one a file.

mod control_plane;
mod exporter;
mod gateway;
mod overview;
mod process;
mod rate_limiting;
mod route;
mod single_sign_on;
mod upstreams;
mod waf;

use grafana_dashboard_builder::Dashboard;

/// All of them, in the order in which one looks.
pub fn all() -> Vec<Dashboard> {
    vec![
        overview::board(),
        route::board(),
        gateway::board(),
        upstreams::board(),
        control_plane::board(),
        rate_limiting::board(),
        single_sign_on::board(),
        waf::board(),
        exporter::board(),
    ]
}
