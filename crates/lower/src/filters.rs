//! What routes ask of HTTP filters. One module a filter, each with its instances in the chain and what a route says to it.
//!
//! [`Features`] is taken apart here without `..`, twice: for a route's own configuration and for the instances that its chain
//! needs. A feature that nobody lowers does not compile.

pub(crate) mod cors;
pub(crate) mod credential;
pub(crate) mod dynamic_forward_proxy;
pub(crate) mod ext_authz;
pub(crate) mod ext_proc;
pub(crate) mod grpc;
pub(crate) mod login;
pub(crate) mod rate_limit;
pub(crate) mod router;
pub(crate) mod session;

use std::{collections::BTreeMap, sync::Arc};

use envoy::{Any, Message, Name, route::FilterConfig};
use ir::{
    ClusterName, Features, Route,
    api::RouteKind,
    features::{CredentialInjection, ExtAuth, ExtProc},
    names::fingerprint,
    route::HeaderMutation,
};

/// What the features of a route say in it.
pub(crate) struct RouteFilters<'a> {
    pub(crate) request_headers: &'a HeaderMutation,
    pub(crate) response_headers: &'a HeaderMutation,
    /// By the name of the filter's instance.
    pub(crate) typed_per_filter_config: BTreeMap<String, Any>,
    /// Some filter reads the route's metadata.
    pub(crate) needs_metadata: bool,
}

/// What a route says to the filters.
pub(crate) fn of_route(route: &Route) -> RouteFilters<'_> {
    let Features { request_headers, response_headers, cors, login, ext_auth, ext_proc, rate_limit, credential } =
        &*route.features;
    let mut config = PerRoute::default();
    if let Some(cors) = cors {
        config.set(cors::NAME, &cors::policy(cors));
    }
    if let Some(login) = login {
        config.set(login::NAME, &login::per_route(login));
    }
    if let Some(auth) = ext_auth {
        config.set(&ext_authz::name(auth, &route.source), &ext_authz::per_route(auth));
    }
    for processor in ext_proc {
        config.set(&ext_proc::name(processor), &ext_proc::per_route());
    }
    if let Some(limit) = rate_limit {
        config.set(rate_limit::NAME, &rate_limit::per_route(limit));
    }
    if let Some(credential) = credential {
        config.enable(&credential::name(credential));
    }
    if let Some(session) = session::of_route(route) {
        config.set(session::NAME, &session::per_route(session));
    }
    RouteFilters {
        request_headers,
        response_headers,
        typed_per_filter_config: config.0,
        needs_metadata: ext_auth.as_ref().is_some_and(|auth| auth.include_route_metadata)
            || ext_proc.iter().any(|processor| ext_proc::reads_route_metadata(processor)),
    }
}

#[derive(Default)]
struct PerRoute(BTreeMap<String, Any>);

impl PerRoute {
    /// The filter's own message for routes. It also enables the filter.
    fn set<M: Message + Name>(&mut self, name: &str, config: &M) {
        self.0.insert(name.to_owned(), envoy::any(config));
    }

    /// Enables a filter that has nothing to say for a route: an empty configuration, which must be there.
    fn enable(&mut self, name: &str) {
        self.set(name, &FilterConfig { config: Some(Any::default()), ..Default::default() });
    }
}

/// The filters that routes need. Ordered, so that the order of routes does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Needs {
    pub(crate) cors: bool,
    pub(crate) grpc: bool,
    pub(crate) session: bool,
    /// The single sign-on service.
    pub(crate) login: Option<ClusterName>,
    pub(crate) ext_auth: BTreeMap<String, Arc<ExtAuth>>,
    /// By source and index: the order in which a source lists them is the order in the chain.
    pub(crate) ext_proc: BTreeMap<(String, usize), Arc<ExtProc>>,
    /// The domain of the limits.
    pub(crate) rate_limit: Option<Arc<str>>,
    pub(crate) credential: BTreeMap<String, Arc<CredentialInjection>>,
}

impl Needs {
    /// What a route needs.
    pub(crate) fn of_route(route: &Route) -> Self {
        // Headers are changed by the router, which is always there.
        let Features {
            request_headers: _,
            response_headers: _,
            cors,
            login,
            ext_auth,
            ext_proc,
            rate_limit,
            credential,
        } = &*route.features;
        let auth = ext_auth.iter().map(|auth| (ext_authz::name(auth, &route.source), Arc::clone(auth)));
        let processors = ext_proc
            .iter()
            .map(|processor| ((ext_proc::source_name(processor), processor.index), Arc::clone(processor)));
        let credentials = credential.iter().map(|credential| (credential::name(credential), Arc::clone(credential)));
        Self {
            cors: cors.is_some(),
            grpc: route.source.kind == RouteKind::Grpc,
            session: session::of_route(route).is_some(),
            login: login.as_ref().map(|login| Arc::clone(&login.cluster)),
            ext_auth: auth.collect(),
            ext_proc: processors.collect(),
            rate_limit: rate_limit.as_ref().map(|limit| Arc::clone(&limit.domain)),
            credential: credentials.collect(),
        }
    }

    /// What tells these filters apart from others: the names of all instances, and nothing of their settings. `None` where
    /// nothing but the router is needed.
    pub(crate) fn fingerprint(&self) -> Option<u32> {
        if *self == Self::default() {
            return None;
        }
        let Self { cors, grpc, session, login, ext_auth, ext_proc, rate_limit, credential } = self;
        let (auth, processors, credentials) = (ext_auth.keys(), ext_proc.keys(), credential.keys());
        let names = format!("{cors} {grpc} {session} {auth:?} {processors:?} {} {credentials:?}", rate_limit.is_some());
        Some(fingerprint(&if login.is_some() { format!("{names} login") } else { names }))
    }

    /// Adds what others need.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { cors, grpc, session, login, ext_auth, ext_proc, rate_limit, credential } = other;
        self.cors |= cors;
        self.grpc |= grpc;
        self.session |= session;
        add(&mut self.ext_auth, ext_auth);
        add(&mut self.ext_proc, ext_proc);
        add(&mut self.credential, credential);
        if let Some(service) = login {
            self.login.get_or_insert_with(|| Arc::clone(service));
        }
        if let Some(domain) = rate_limit {
            self.rate_limit.get_or_insert_with(|| Arc::clone(domain));
        }
    }
}

/// The first of each name stays.
fn add<K: Ord + Clone, V>(all: &mut BTreeMap<K, Arc<V>>, more: &BTreeMap<K, Arc<V>>) {
    for (name, value) in more {
        if !all.contains_key(name) {
            all.insert(name.clone(), Arc::clone(value));
        }
    }
}

/// The name of an instance: the filter's, and the resource that asked for it.
fn instance_name(filter: &str, source: &ir::api::ObjectRef) -> String {
    format!("{filter}/{}/{}/{}", source.kind.to_lowercase(), source.namespace, source.name)
}
