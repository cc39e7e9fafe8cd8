//! The five route kinds in one shape.
//!
//! An `HTTPRoute`'s spec can hold all that the other four have, except the matches of a `GRPCRoute`: they are kept
//! beside it. So attachment, grants, back ends and filters are written once, for [`Route`].

use crate::{
    ObjectMeta, Stored,
    gateway::{GROUP, GrpcMatch, GrpcRoute, HttpRoute, HttpRouteSpec, TcpRoute, TlsRoute, UdpRoute, same_shape},
};

/// Which of the five kinds a [`Route`] was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum RouteKind {
    /// `HTTPRoute`
    Http,
    /// `GRPCRoute`
    Grpc,
    /// `TLSRoute`
    Tls,
    /// `TCPRoute`
    Tcp,
    /// `UDPRoute`
    Udp,
}

impl RouteKind {
    /// All five, in the order in which status lists them.
    pub const ALL: [Self; 5] = [Self::Http, Self::Grpc, Self::Tls, Self::Tcp, Self::Udp];

    /// The kind, as in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
            Self::Tls => "TLSRoute",
            Self::Tcp => "TCPRoute",
            Self::Udp => "UDPRoute",
        }
    }

    /// The inverse of [`RouteKind::as_str`].
    pub fn parse(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }
}

/// A route of any of the five kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which kind it was.
    pub kind: RouteKind,
    /// The resource's metadata.
    pub metadata: ObjectMeta,
    /// What it says; `matches` is empty for all kinds but `HTTPRoute`.
    pub spec: HttpRouteSpec,
    /// The matches of each rule of a `GRPCRoute`, by rule index; empty for the other kinds.
    pub grpc_matches: Vec<Vec<GrpcMatch>>,
}

impl Stored for Route {
    const GROUP: &'static str = GROUP;
    const KIND: &'static str = "Route";

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn kind(&self) -> &'static str {
        self.kind.as_str()
    }
}

impl From<HttpRoute> for Route {
    fn from(route: HttpRoute) -> Self {
        Self { kind: RouteKind::Http, metadata: route.metadata, spec: route.spec, grpc_matches: Vec::new() }
    }
}

impl From<GrpcRoute> for Route {
    fn from(mut route: GrpcRoute) -> Self {
        // The matches have another shape than an HTTPRoute's: they are taken out before the rest is read as one.
        let rules = route.spec.rules.iter_mut().flatten();
        let grpc_matches = rules.map(|rule| rule.matches.take().unwrap_or_default()).collect();
        Self { kind: RouteKind::Grpc, metadata: route.metadata, spec: same_shape(&route.spec), grpc_matches }
    }
}

macro_rules! plain {
    ($($kind:ident: $resource:ty),*) => {$(
        impl From<$resource> for Route {
            fn from(route: $resource) -> Self {
                let spec = same_shape(&route.spec);
                Self { kind: RouteKind::$kind, metadata: route.metadata, spec, grpc_matches: Vec::new() }
            }
        }
    )*};
}
plain!(Tls: TlsRoute, Tcp: TcpRoute, Udp: UdpRoute);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grpc_route_keeps_its_matches_and_shares_the_rest() {
        let route: GrpcRoute = serde_json::from_value(json!({
            "metadata": {"name": "r"},
            "spec": {"rules": [{
                "matches": [{"method": {"service": "s", "method": "m"}}],
                "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}],
                "backendRefs": [{"name": "b", "port": 1, "filters": [
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]}],
                "sessionPersistence": {"type": "Header", "sessionName": "s"},
            }]},
        }))
        .unwrap();
        let route = Route::from(route);
        let rule = &route.spec.rules.unwrap()[0];
        assert_eq!(route.grpc_matches[0][0].method.as_ref().unwrap().method.as_deref(), Some("m"));
        assert_eq!(rule.matches, None);
        assert_eq!(crate::gateway::backend_filters(&rule.backend_refs.as_ref().unwrap()[0]).len(), 1);
    }

    #[test]
    fn layer_four_routes_share_the_shape() {
        let spec = json!({"metadata": {"name": "r"}, "spec": {"hostnames": ["a.example"], "parentRefs": [{"name": "g"}],
            "rules": [{"name": "one", "backendRefs": [{"name": "b", "port": 1, "weight": 3}]}]}});
        let tls: TlsRoute = serde_json::from_value(spec.clone()).unwrap();
        let tcp: TcpRoute = serde_json::from_value(spec.clone()).unwrap();
        let udp: UdpRoute = serde_json::from_value(spec).unwrap();
        assert_eq!(Route::from(tls).spec.hostnames.unwrap(), ["a.example"]);
        for route in [Route::from(tcp), Route::from(udp)] {
            assert_eq!(route.spec.rules.unwrap()[0].backend_refs.as_ref().unwrap()[0].weight, Some(3));
        }
    }
}
