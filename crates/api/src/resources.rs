//! The input of translation: every resource that is there, immutable and cheap to copy.
//!
//! A change makes a new [`Resources`] that shares all that did not change. So "is this the same as before?" is a
//! comparison of pointers, from a whole table down to one resource.

use std::{collections::BTreeMap, sync::Arc};

use immutable_chunkmap::map::Map;

use crate::{
    ConfigMap, EndpointSlice, Namespace, Object, ObjectRef, Route, RouteKind, Secret, Service, ServiceImport, Stored,
    ext::{Backend, BackendTrafficPolicy, EnvoyExtensionPolicy, EnvoyProxy, HttpRouteFilter, SecurityPolicy},
    gateway::{BackendTlsPolicy, Gateway, GatewayClass, ListenerSet, ReferenceGrant},
};

/// So many resources lie side by side; a change copies so many pointers, and some for each level above.
const CHUNK: usize = 32;

/// Resources by [`key`].
type ByKey<T> = Map<Arc<str>, Arc<T>, CHUNK>;

/// All resources of one kind, by namespace and name. A copy shares nearly all with what it was copied from.
#[derive(Debug, PartialEq)]
pub struct Table<T>(Arc<ByKey<T>>);

/// Where a resource stands: ordered by namespace, then by name.
fn key(namespace: &str, name: &str) -> String {
    let mut key = String::with_capacity(namespace.len() + 1 + name.len());
    key.push_str(namespace);
    key.push('\0');
    key.push_str(name);
    key
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Stored> Table<T> {
    /// One resource; cluster-scoped kinds have the namespace `""`.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.0.get(key(namespace, name).as_str())
    }

    /// All resources, ordered by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.into_iter().map(|(_, object)| object)
    }

    /// All resources of one namespace, ordered by name.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Arc<T>> {
        let first: Arc<str> = format!("{namespace}\0").into();
        let beyond: Arc<str> = format!("{namespace}\u{1}").into();
        self.0.range::<Arc<str>, _>(first..beyond).map(|(_, object)| object)
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing was changed between the two: a comparison of one pointer.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Puts a resource in, in place of an older one of the same name. An equal one changes nothing.
    pub fn insert(&mut self, object: Arc<T>) {
        let key = key(object.namespace(), object.name());
        let old = self.0.get_full(key.as_str());
        if old.is_some_and(|(_, old)| Arc::ptr_eq(old, &object) || **old == *object) {
            return;
        }
        let key = old.map_or_else(|| key.as_str().into(), |(known, _)| Arc::clone(known));
        Arc::make_mut(&mut self.0).insert_cow(key, object);
    }

    /// Takes a resource out.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        if self.get(namespace, name).is_some() {
            let key: Arc<str> = key(namespace, name).into();
            Arc::make_mut(&mut self.0).remove_cow(&key);
        }
    }
}

/// Every resource that is there. See [`crate::KINDS`] for the table behind each field.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Resources {
    pub gateway_classes: Table<GatewayClass>,
    pub gateways: Table<Gateway>,
    pub listener_sets: Table<ListenerSet>,
    pub http_routes: Table<Route>,
    pub grpc_routes: Table<Route>,
    pub tls_routes: Table<Route>,
    pub tcp_routes: Table<Route>,
    pub udp_routes: Table<Route>,
    pub backend_tls_policies: Table<BackendTlsPolicy>,
    pub reference_grants: Table<ReferenceGrant>,
    pub backends: Table<Backend>,
    pub envoy_proxies: Table<EnvoyProxy>,
    pub http_route_filters: Table<HttpRouteFilter>,
    pub backend_traffic_policies: Table<BackendTrafficPolicy>,
    pub security_policies: Table<SecurityPolicy>,
    pub envoy_extension_policies: Table<EnvoyExtensionPolicy>,
    pub namespaces: Table<Namespace>,
    pub services: Table<Service>,
    pub service_imports: Table<ServiceImport>,
    pub endpoint_slices: Table<EndpointSlice>,
    pub secrets: Table<Secret>,
    pub config_maps: Table<ConfigMap>,
    /// What is there and cannot be read, and why; of none of these a good version was ever seen.
    pub unreadable: Arc<Unreadable>,
    /// What was learned outside of the resources.
    pub facts: Arc<Facts>,
}

/// Why resources cannot be read, in words for whoever wrote them.
pub type Unreadable = BTreeMap<ObjectRef, Arc<str>>;

impl Resources {
    /// The routes of one kind.
    pub fn routes(&self, kind: RouteKind) -> &Table<Route> {
        match kind {
            RouteKind::Http => &self.http_routes,
            RouteKind::Grpc => &self.grpc_routes,
            RouteKind::Tls => &self.tls_routes,
            RouteKind::Tcp => &self.tcp_routes,
            RouteKind::Udp => &self.udp_routes,
        }
    }

    /// Whether nothing was changed between the two: comparisons of pointers.
    pub fn same(&self, other: &Self) -> bool {
        self.same_surroundings(other)
            && RouteKind::ALL.into_iter().all(|kind| self.routes(kind).same(other.routes(kind)))
            && self.endpoint_slices.same(&other.endpoint_slices)
    }

    /// Whether the two differ in nothing that a route's translation looks at but the routes themselves. End points
    /// don't count: they travel their own way.
    pub fn same_surroundings(&self, other: &Self) -> bool {
        self.gateway_classes.same(&other.gateway_classes)
            && self.gateways.same(&other.gateways)
            && self.listener_sets.same(&other.listener_sets)
            && self.backend_tls_policies.same(&other.backend_tls_policies)
            && self.reference_grants.same(&other.reference_grants)
            && self.backends.same(&other.backends)
            && self.envoy_proxies.same(&other.envoy_proxies)
            && self.http_route_filters.same(&other.http_route_filters)
            && self.backend_traffic_policies.same(&other.backend_traffic_policies)
            && self.security_policies.same(&other.security_policies)
            && self.envoy_extension_policies.same(&other.envoy_extension_policies)
            && self.namespaces.same(&other.namespaces)
            && self.services.same(&other.services)
            && self.service_imports.same(&other.service_imports)
            && self.secrets.same(&other.secrets)
            && self.config_maps.same(&other.config_maps)
            && Arc::ptr_eq(&self.unreadable, &other.unreadable)
            && Arc::ptr_eq(&self.facts, &other.facts)
    }

    /// Notes that a resource is there and cannot be read; `stand_in` takes its place, if there is one
    /// ([`crate::stand_in::stand_in`]). It is forgotten with the next good version, and when the resource goes.
    pub fn insert_unreadable(&mut self, reference: ObjectRef, why: &str, stand_in: Option<Object>) {
        match stand_in {
            Some(stand_in) => self.insert(stand_in),
            None => self.remove(&reference),
        }
        Arc::make_mut(&mut self.unreadable).insert(reference, why.into());
    }

    /// It can be read, or it is gone.
    pub(crate) fn forget_unreadable(&mut self, reference: &ObjectRef) {
        if self.unreadable.contains_key(reference) {
            Arc::make_mut(&mut self.unreadable).remove(reference);
        }
    }
}

/// Addresses by the name of the fleet, as type and value.
pub type Addresses = BTreeMap<Arc<str>, Vec<(String, String)>>;

/// What was learned outside of the resources and goes into the next translation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// By fleet: resources that its Envoys refused, with their words.
    pub rejected: BTreeMap<Arc<str>, BTreeMap<ObjectRef, Rejection>>,
    /// Policies whose login the single sign-on service refused, with its words.
    pub refused_logins: BTreeMap<ObjectRef, Rejection>,
    /// Where each fleet of Envoys is reached; `None` where that is not for the cluster to say.
    pub addresses: Option<Addresses>,
}

/// Why what was made from a resource was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The generation that was refused; a newer one is tried again.
    pub generation: i64,
    /// The words of who refused it.
    pub message: String,
}
