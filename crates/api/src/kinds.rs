//! The table of resource kinds. One row a kind: parsing, storage, watching, RBAC, status and the command line read it.

use std::sync::Arc;

use crate::{
    ConfigMap, EndpointSlice, Namespace, ObjectMeta, ObjectRef, Resources, Route, Secret, Service, ServiceImport,
    Stored,
    ext::{Backend, BackendTrafficPolicy, EnvoyExtensionPolicy, EnvoyProxy, HttpRouteFilter, SecurityPolicy},
    gateway::{
        BackendTlsPolicy, Gateway, GatewayClass, GrpcRoute, HttpRoute, ListenerSet, ReferenceGrant, TcpRoute, TlsRoute,
        UdpRoute,
    },
};

/// Whether a kind lives in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One for the cluster.
    Cluster,
    /// One for each namespace.
    Namespaced,
}

/// Reads one document; the callback hears the path of each unknown field.
type Parse = fn(serde_json::Value, &mut dyn FnMut(String)) -> Result<Object, String>;

/// One kind of resource that we read.
#[derive(Debug)]
pub struct Kind {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The kind, as in `kind:`.
    pub kind: &'static str,
    /// The plural, as in an API path.
    pub plural: &'static str,
    /// The versions that are read, the preferred one first.
    pub versions: &'static [&'static str],
    /// Whether it lives in a namespace.
    pub scope: Scope,
    /// Whether we write its status.
    pub status: bool,
    /// Reads one document; the callback hears the path of each field that the kind does not have.
    pub(crate) parse: Parse,
}

impl Kind {
    /// Finds a kind by group and name.
    pub fn find(group: &str, kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|row| row.kind == kind && row.group == group)
    }
}

macro_rules! kinds {
    ($($field:ident, $variant:ident($stored:ty) <- $read:ty: $group:literal $plural:literal $versions:expr, $scope:ident,
       status $status:literal;)*) => {
        /// Every kind of resource that we read.
        pub const KINDS: &[Kind] = &[$(Kind {
            group: $group,
            kind: stringify!($variant),
            plural: $plural,
            versions: &$versions,
            scope: Scope::$scope,
            status: $status,
            parse: |value, unknown| Ok(Object::$variant(Arc::new(<$stored>::from(crate::read::read::<$read>(value, unknown)?)))),
        }),*];

        /// One resource of any kind.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::upper_case_acronyms)]
        pub enum Object {$(
            #[doc = concat!("A `", stringify!($variant), "`.")]
            $variant(Arc<$stored>),
        )*}

        impl Object {
            /// The resource's metadata.
            pub fn meta(&self) -> &ObjectMeta {
                match self {$(Self::$variant(object) => object.meta(),)*}
            }

            /// The reference to this resource.
            pub fn reference(&self) -> ObjectRef {
                match self {$(Self::$variant(object) => object.reference(),)*}
            }

            /// The row of this resource's kind.
            pub fn kind(&self) -> &'static Kind {
                let name = match self {$(Self::$variant(_) => stringify!($variant),)*};
                KINDS.iter().find(|row| row.kind == name).expect("every variant is made from a row")
            }

            /// The same resource with `metadata.generation` set.
            #[must_use]
            pub fn with_generation(mut self, generation: i64) -> Self {
                match &mut self {$(Self::$variant(object) => {
                    let mut copy = (**object).clone();
                    copy.metadata.generation = Some(generation);
                    *object = Arc::new(copy);
                })*}
                self
            }
        }

        impl Resources {
            /// Puts a resource into its table, in place of an older one of the same name.
            pub fn insert(&mut self, object: Object) {
                if !self.unreadable.is_empty() {
                    self.forget_unreadable(&object.reference());
                }
                match object {$(Object::$variant(object) => self.$field.insert(object),)*}
            }

            /// A resource of any kind.
            pub fn get(&self, reference: &ObjectRef) -> Option<Object> {
                let (namespace, name) = (reference.namespace.as_str(), reference.name.as_str());
                match (reference.group.as_str(), reference.kind.as_str()) {
                    $(($group, stringify!($variant)) => {
                        self.$field.get(namespace, name).map(|object| Object::$variant(Arc::clone(object)))
                    })*
                    _ => None,
                }
            }

            /// Takes a resource out of its table.
            pub fn remove(&mut self, reference: &ObjectRef) {
                self.forget_unreadable(reference);
                let (namespace, name) = (reference.namespace.as_str(), reference.name.as_str());
                match (reference.group.as_str(), reference.kind.as_str()) {
                    $(($group, stringify!($variant)) => self.$field.remove(namespace, name),)*
                    _ => {}
                }
            }
        }
    };
}

kinds! {
    // table, kind(what is stored) <- what is read: group, plural, versions, scope, status
    gateway_classes, GatewayClass(GatewayClass) <- GatewayClass: "gateway.networking.k8s.io" "gatewayclasses" ["v1", "v1beta1"], Cluster, status true;
    gateways, Gateway(Gateway) <- Gateway: "gateway.networking.k8s.io" "gateways" ["v1", "v1beta1"], Namespaced, status true;
    listener_sets, ListenerSet(ListenerSet) <- ListenerSet: "gateway.networking.k8s.io" "listenersets" ["v1"], Namespaced, status true;
    http_routes, HTTPRoute(Route) <- HttpRoute: "gateway.networking.k8s.io" "httproutes" ["v1", "v1beta1"], Namespaced, status true;
    grpc_routes, GRPCRoute(Route) <- GrpcRoute: "gateway.networking.k8s.io" "grpcroutes" ["v1"], Namespaced, status true;
    tls_routes, TLSRoute(Route) <- TlsRoute: "gateway.networking.k8s.io" "tlsroutes" ["v1", "v1alpha3", "v1alpha2"], Namespaced, status true;
    tcp_routes, TCPRoute(Route) <- TcpRoute: "gateway.networking.k8s.io" "tcproutes" ["v1", "v1alpha2"], Namespaced, status true;
    udp_routes, UDPRoute(Route) <- UdpRoute: "gateway.networking.k8s.io" "udproutes" ["v1", "v1alpha2"], Namespaced, status true;
    backend_tls_policies, BackendTLSPolicy(BackendTlsPolicy) <- BackendTlsPolicy: "gateway.networking.k8s.io" "backendtlspolicies" ["v1", "v1alpha3"], Namespaced, status true;
    reference_grants, ReferenceGrant(ReferenceGrant) <- ReferenceGrant: "gateway.networking.k8s.io" "referencegrants" ["v1beta1", "v1"], Namespaced, status false;
    backends, Backend(Backend) <- Backend: "gateway.envoyproxy.io" "backends" ["v1alpha1"], Namespaced, status true;
    envoy_proxies, EnvoyProxy(EnvoyProxy) <- EnvoyProxy: "gateway.envoyproxy.io" "envoyproxies" ["v1alpha1"], Namespaced, status true;
    http_route_filters, HTTPRouteFilter(HttpRouteFilter) <- HttpRouteFilter: "gateway.envoyproxy.io" "httproutefilters" ["v1alpha1"], Namespaced, status false;
    backend_traffic_policies, BackendTrafficPolicy(BackendTrafficPolicy) <- BackendTrafficPolicy: "gateway.envoyproxy.io" "backendtrafficpolicies" ["v1alpha1"], Namespaced, status true;
    security_policies, SecurityPolicy(SecurityPolicy) <- SecurityPolicy: "gateway.envoyproxy.io" "securitypolicies" ["v1alpha1"], Namespaced, status true;
    envoy_extension_policies, EnvoyExtensionPolicy(EnvoyExtensionPolicy) <- EnvoyExtensionPolicy: "gateway.envoyproxy.io" "envoyextensionpolicies" ["v1alpha1"], Namespaced, status true;
    namespaces, Namespace(Namespace) <- Namespace: "" "namespaces" ["v1"], Cluster, status false;
    services, Service(Service) <- Service: "" "services" ["v1"], Namespaced, status false;
    service_imports, ServiceImport(ServiceImport) <- ServiceImport: "multicluster.x-k8s.io" "serviceimports" ["v1alpha1", "v1beta1"], Namespaced, status false;
    endpoint_slices, EndpointSlice(EndpointSlice) <- EndpointSlice: "discovery.k8s.io" "endpointslices" ["v1"], Namespaced, status false;
    secrets, Secret(Secret) <- Secret: "" "secrets" ["v1"], Namespaced, status false;
    config_maps, ConfigMap(ConfigMap) <- ConfigMap: "" "configmaps" ["v1"], Namespaced, status false;
}

macro_rules! stored {
    ($($type:ty, $group:literal, $kind:literal;)*) => {$(
        impl Stored for $type {
            const GROUP: &'static str = $group;
            const KIND: &'static str = $kind;

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
        }
    )*};
}

stored! {
    GatewayClass, "gateway.networking.k8s.io", "GatewayClass";
    Gateway, "gateway.networking.k8s.io", "Gateway";
    ListenerSet, "gateway.networking.k8s.io", "ListenerSet";
    BackendTlsPolicy, "gateway.networking.k8s.io", "BackendTLSPolicy";
    ReferenceGrant, "gateway.networking.k8s.io", "ReferenceGrant";
    Backend, "gateway.envoyproxy.io", "Backend";
    EnvoyProxy, "gateway.envoyproxy.io", "EnvoyProxy";
    HttpRouteFilter, "gateway.envoyproxy.io", "HTTPRouteFilter";
    BackendTrafficPolicy, "gateway.envoyproxy.io", "BackendTrafficPolicy";
    SecurityPolicy, "gateway.envoyproxy.io", "SecurityPolicy";
    EnvoyExtensionPolicy, "gateway.envoyproxy.io", "EnvoyExtensionPolicy";
    Namespace, "", "Namespace";
    Service, "", "Service";
    ServiceImport, "multicluster.x-k8s.io", "ServiceImport";
    EndpointSlice, "discovery.k8s.io", "EndpointSlice";
    Secret, "", "Secret";
    ConfigMap, "", "ConfigMap";
}
