//! What comes out: encoded resources, and what each was made from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use envoy::type_url;
use ir::{Cluster, Listener, RouteTable, Secret, api::ObjectRef};

/// The resources of one type, by name. An unchanged set is the same `Arc` as the time before.
pub type Resources = Arc<BTreeMap<Arc<str>, Resource>>;

/// Envoy's configuration for one fleet, but for the end points of clusters (see [`crate::endpoints()`]).
#[derive(Clone, Debug)]
pub struct Lowered {
    /// By type URL: listeners, route configurations, clusters and secrets.
    pub resources: BTreeMap<&'static str, Resources>,
}

/// One Envoy resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The encoded message, without the `Any` around it.
    pub bytes: Bytes,
    /// What it was made from.
    pub origin: Origin,
}

/// What a resource was made from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A socket, and what policies put into its filters.
    Listener(Arc<Listener>, Arc<[ObjectRef]>),
    /// A route table.
    Table(Arc<RouteTable>),
    /// A back end.
    Cluster(Arc<Cluster>),
    /// Key material.
    Secret(Arc<Secret>),
}

impl Origin {
    /// The user's resources behind it, sorted, each once. Walks the whole part: for errors, not for every change.
    pub fn sources(&self) -> Vec<ObjectRef> {
        let mut sources: Vec<ObjectRef> = match self {
            Self::Listener(listener, filters) => listener.sources.iter().chain(filters.iter()).cloned().collect(),
            Self::Table(table) => {
                table.hosts.iter().flat_map(|host| &host.routes).flat_map(|route| of_route(route)).collect()
            }
            Self::Cluster(cluster) => cluster.sources.clone(),
            Self::Secret(secret) => vec![secret.source.clone()],
        };
        sources.sort();
        sources.dedup();
        sources
    }

    /// Of one of its sources: what the part was made from that the source has in it, and the source. Of a policy or
    /// filter, which may be everywhere, only itself and the whole.
    fn surroundings(&self, source: &ObjectRef) -> Vec<ObjectRef> {
        let mut surroundings: Vec<ObjectRef> = match self {
            Self::Listener(listener, _) => listener.sources.clone(),
            Self::Table(table) => {
                let routes = table.hosts.iter().flat_map(|host| &host.routes);
                routes.filter(|route| route.source.route == *source).flat_map(|route| of_route(route)).collect()
            }
            Self::Cluster(_) | Self::Secret(_) => self.sources(),
        };
        surroundings.push(source.clone());
        surroundings.sort();
        surroundings.dedup();
        surroundings
    }
}

fn of_route(route: &ir::Route) -> impl Iterator<Item = ObjectRef> {
    let ir::Features { login, ext_auth, ext_proc, rate_limit, credential, .. } = &*route.features;
    let features = login.iter().map(|login| &login.source);
    let features = features.chain(ext_auth.iter().map(|auth| &auth.source));
    let features = features.chain(ext_proc.iter().map(|processor| &processor.source));
    let features = features.chain(rate_limit.iter().map(|limit| &limit.source));
    let features = features.chain(credential.iter().map(|credential| &credential.source));
    std::iter::once(&route.source.route).chain(&route.source.filters).chain(features).cloned()
}

impl Lowered {
    /// The resources of a type; `None` for a type that this room does not make.
    pub fn of_type(&self, type_url: &str) -> Option<&Resources> {
        self.resources.get(type_url)
    }

    /// A resource by type and name.
    pub fn get(&self, type_url: &str, name: &str) -> Option<&Resource> {
        self.of_type(type_url)?.get(name)
    }

    /// The user's resources that an Envoy resource was made from, for an error that Envoy has with it. Nothing for a
    /// resource that is not ours.
    pub fn sources(&self, type_url: &str, name: &str) -> Vec<ObjectRef> {
        self.get(holder(type_url), name).map(|resource| resource.origin.sources()).unwrap_or_default()
    }

    /// The same for one of those sources: what else the part that is its own was made from, and itself.
    pub fn surroundings(&self, type_url: &str, name: &str, source: &ObjectRef) -> Vec<ObjectRef> {
        self.get(holder(type_url), name).map(|resource| resource.origin.surroundings(source)).unwrap_or_default()
    }

    /// The user's resources that all Envoy resources of a type were made from.
    pub fn sources_of_type(&self, type_url: &str) -> BTreeSet<ObjectRef> {
        let all = self.of_type(holder(type_url)).into_iter().flat_map(|resources| resources.values());
        all.flat_map(|resource| resource.origin.sources()).collect()
    }
}

/// Endpoints are named as their cluster.
fn holder(type_url: &str) -> &str {
    if type_url == type_url::ENDPOINT { type_url::CLUSTER } else { type_url }
}
