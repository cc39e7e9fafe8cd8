//! The Gateway API's types, one name for each shape.
//!
//! The crate `gateway-api` is generated from the CRDs, which repeat a shape at every place where it is used: a route
//! filter has four Rust types, a parent reference five. They are the same JSON, so we keep one of them under the name
//! that the specification gives it, and [`same_shape`] turns the others into it when a document is read.

use serde::{Serialize, de::DeserializeOwned};

pub use gateway_api::backendtlspolicies::{
    BackendTlsPolicy, BackendTlsPolicySpec, BackendTlsPolicyTargetRefs as BackendTlsTargetRef,
    BackendTlsPolicyValidation as BackendTlsValidation,
    BackendTlsPolicyValidationSubjectAltNames as BackendTlsSubjectAltName,
    BackendTlsPolicyValidationSubjectAltNamesType as SubjectAltNameType,
};
pub use gateway_api::experimental::{
    gatewayclasses::{GatewayClass, GatewayClassParametersRef, GatewayClassSpec},
    gateways::{
        Gateway, GatewayAddresses as GatewayAddress, GatewayAllowedListeners as AllowedListeners,
        GatewayAllowedListenersNamespacesFrom as ListenerSetsFrom, GatewayDefaultScope as DefaultScope,
        GatewayInfrastructureParametersRef, GatewayListeners as Listener,
        GatewayListenersAllowedRoutes as AllowedRoutes, GatewayListenersAllowedRoutesKinds as RouteGroupKind,
        GatewayListenersAllowedRoutesNamespacesFrom as RoutesFrom, GatewayListenersTls as ListenerTls,
        GatewayListenersTlsCertificateRefs as SecretRef, GatewayListenersTlsMode as TlsMode, GatewaySpec,
        GatewayTlsFrontendDefaultValidation as FrontendValidation,
        GatewayTlsFrontendDefaultValidationCaCertificateRefs as CaCertificateRef,
        GatewayTlsFrontendDefaultValidationMode as FrontendValidationMode,
    },
    grpcroutes::{
        GrpcRoute, GrpcRouteRulesMatches as GrpcMatch, GrpcRouteRulesMatchesHeaders as GrpcHeaderMatch,
        GrpcRouteRulesMatchesMethod as GrpcMethodMatch, GrpcRouteRulesMatchesMethodType as GrpcMethodMatchType,
    },
    httproutes::{
        HttpRoute, HttpRouteParentRefs as ParentRef, HttpRouteRules as HttpRule,
        HttpRouteRulesBackendRefs as BackendRef, HttpRouteRulesFilters as Filter, HttpRouteRulesFiltersCors as Cors,
        HttpRouteRulesFiltersExtensionRef as ExtensionRef, HttpRouteRulesFiltersExternalAuth as ExternalAuth,
        HttpRouteRulesFiltersExternalAuthProtocol as ExternalAuthProtocol,
        HttpRouteRulesFiltersRequestHeaderModifier as HeaderModifier,
        HttpRouteRulesFiltersRequestMirror as RequestMirror,
        HttpRouteRulesFiltersRequestMirrorBackendRef as UnweightedBackendRef,
        HttpRouteRulesFiltersRequestRedirect as RequestRedirect,
        HttpRouteRulesFiltersRequestRedirectScheme as RedirectScheme, HttpRouteRulesFiltersType as FilterType,
        HttpRouteRulesFiltersUrlRewrite as UrlRewrite, HttpRouteRulesFiltersUrlRewritePath as PathModifier,
        HttpRouteRulesFiltersUrlRewritePathType as PathModifierType, HttpRouteRulesMatches as HttpMatch,
        HttpRouteRulesMatchesHeaders as HeaderMatch, HttpRouteRulesMatchesHeadersType as MatchType,
        HttpRouteRulesMatchesMethod as Method, HttpRouteRulesMatchesPath as PathMatch,
        HttpRouteRulesMatchesPathType as PathMatchType, HttpRouteRulesMatchesQueryParams as QueryParamMatch,
        HttpRouteRulesMatchesQueryParamsType as QueryMatchType, HttpRouteRulesRetry as Retry,
        HttpRouteRulesSessionPersistence as SessionPersistence,
        HttpRouteRulesSessionPersistenceCookieConfigLifetimeType as CookieLifetime,
        HttpRouteRulesSessionPersistenceType as SessionPersistenceType, HttpRouteRulesTimeouts as Timeouts,
        HttpRouteSpec, HttpRouteUseDefaultGateways as UseDefaultGateways,
    },
    listenersets::{ListenerSet, ListenerSetSpec},
    referencegrants::{ReferenceGrant, ReferenceGrantSpec},
    tcproutes::TcpRoute,
    tlsroutes::TlsRoute,
    udproutes::UdpRoute,
};

/// The API group of the Gateway API.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// Reads one generated type as another that has the same JSON shape.
///
/// # Panics
/// When the shapes differ, which is a mistake in this crate and not in a user's resource: the callers below are all
/// covered by tests.
pub fn same_shape<T: DeserializeOwned>(value: &impl Serialize) -> T {
    serde_json::to_value(value).and_then(serde_json::from_value).expect("both types are the same JSON shape")
}

/// The listeners of a listener set, as the listeners of a gateway.
pub fn listener_set_listeners(set: &ListenerSet) -> Vec<Listener> {
    same_shape(&set.spec.listeners)
}

/// A filter of a backend reference, as a filter of a rule.
pub fn backend_filters(backend: &BackendRef) -> Vec<Filter> {
    backend.filters.as_ref().map(same_shape).unwrap_or_default()
}
