//! Type URLs: `type.googleapis.com/` and a message's full name.

use prost::Name;

/// What Envoy puts before a message's full name.
pub const PREFIX: &str = "type.googleapis.com/";

/// `envoy.config.listener.v3.Listener`, of LDS.
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// `envoy.config.route.v3.RouteConfiguration`, of RDS.
pub const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
/// `envoy.config.route.v3.ScopedRouteConfiguration`, of SRDS.
pub const SCOPED_ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration";
/// `envoy.config.route.v3.VirtualHost`, of VHDS.
pub const VIRTUAL_HOST: &str = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
/// `envoy.config.cluster.v3.Cluster`, of CDS.
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// `envoy.config.endpoint.v3.ClusterLoadAssignment`, of EDS.
pub const ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// `envoy.extensions.transport_sockets.tls.v3.Secret`, of SDS.
pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
/// `envoy.service.runtime.v3.Runtime`, of RTDS.
pub const RUNTIME: &str = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
/// `envoy.config.core.v3.TypedExtensionConfig`, of ECDS.
pub const EXTENSION_CONFIG: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
/// `ratelimit.config.ratelimit.v3.RateLimitConfig`: what the rate limit service counts.
pub const RATE_LIMIT_CONFIG: &str = "type.googleapis.com/ratelimit.config.ratelimit.v3.RateLimitConfig";

/// `google.protobuf.Struct`: any JSON object.
pub const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";

/// The type URL of a message type.
pub fn of<M: Name>() -> String {
    format!("{PREFIX}{}", M::full_name())
}

/// The full name of the message that a type URL stands for: what follows its last slash.
pub fn message_name(type_url: &str) -> &str {
    type_url.rsplit('/').next().unwrap_or(type_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_the_names_of_their_messages() {
        assert_eq!(LISTENER, of::<crate::listener::Listener>());
        assert_eq!(ROUTE, of::<crate::route::RouteConfiguration>());
        assert_eq!(SCOPED_ROUTE, of::<crate::route::ScopedRouteConfiguration>());
        assert_eq!(VIRTUAL_HOST, of::<crate::route::VirtualHost>());
        assert_eq!(CLUSTER, of::<crate::cluster::Cluster>());
        assert_eq!(ENDPOINT, of::<crate::endpoint::ClusterLoadAssignment>());
        assert_eq!(SECRET, of::<crate::tls::Secret>());
        assert_eq!(RUNTIME, of::<crate::runtime::Runtime>());
        assert_eq!(EXTENSION_CONFIG, of::<crate::core::TypedExtensionConfig>());
        assert_eq!(RATE_LIMIT_CONFIG, of::<crate::rls_conf::RateLimitConfig>());
    }

    #[test]
    fn a_nested_message_carries_its_parents_name() {
        assert_eq!(
            message_name(&of::<crate::listener::listener::ConnectionBalanceConfig>()),
            "envoy.config.listener.v3.Listener.ConnectionBalanceConfig"
        );
    }
}
