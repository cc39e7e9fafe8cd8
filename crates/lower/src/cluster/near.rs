//! End points in the Envoy's own zone first.
//!
//! Envoy knows its zone from its command line, and that of end points from their localities. It also asks where the rest of its
//! fleet is, for its usual way is to spread load evenly over zones. What a Service asks for is simpler: its own zone as long as
//! there is a healthy end point in it, or else all (`force_local_zone`). So the fleet that each Envoy knows of is itself, see
//! [`crate::bootstrap`]. An Envoy without a zone spreads requests over all.

use envoy::{
    cluster::{LoadBalancingPolicy, load_balancing_policy::Policy},
    ext::lb::{
        common::{
            LocalityLbConfig,
            locality_lb_config::{LocalityConfigSpecifier, ZoneAwareLbConfig, zone_aware_lb_config::ForceLocalZone},
        },
        least_request::LeastRequest,
    },
};

/// As all clusters, the end point with the fewest requests of two, but of those near.
pub(super) fn policy() -> LoadBalancingPolicy {
    let zone_aware = ZoneAwareLbConfig {
        // One end point is enough. The default of six is meant for even load.
        min_cluster_size: Some(1),
        force_local_zone: Some(ForceLocalZone { min_size: Some(1) }),
        ..Default::default()
    };
    let least_request = LeastRequest {
        locality_lb_config: Some(LocalityLbConfig {
            locality_config_specifier: Some(LocalityConfigSpecifier::ZoneAwareLbConfig(zone_aware)),
        }),
        ..Default::default()
    };
    let extension = envoy::extension("envoy.load_balancing_policies.least_request", &least_request);
    LoadBalancingPolicy { policies: vec![Policy { typed_extension_config: Some(extension) }] }
}
