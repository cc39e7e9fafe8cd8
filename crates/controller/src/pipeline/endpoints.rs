//! The end points of a fleet's clusters: only those of Services whose slices changed are looked up again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use api::{EndpointSlice, Resources, Stored, Table};
use envoy::type_url;
use ir::{Cluster, Discovery, backend::EndpointSource};
use translate::EndpointIndex;

use super::Fleet;

/// The label with which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The Services whose slices changed: namespace and name.
#[derive(Debug, Default)]
pub(super) struct Moved(BTreeSet<(String, String)>);

impl Moved {
    /// The Services of all slices that are not the same in both.
    pub(super) fn between(before: Option<&Resources>, now: &Resources) -> Self {
        let Some(before) = before.filter(|before| !before.endpoint_slices.same(&now.endpoint_slices)) else {
            return Self::default();
        };
        let (old, new) = (by_address(&before.endpoint_slices), by_address(&now.endpoint_slices));
        let only_in = |one: &HashMap<_, _>, other: &HashMap<_, _>| -> Vec<Arc<EndpointSlice>> {
            one.iter()
                .filter(|(address, _)| !other.contains_key(*address))
                .map(|(_, slice)| Arc::clone(slice))
                .collect()
        };
        let changed = only_in(&old, &new).into_iter().chain(only_in(&new, &old));
        let service =
            |slice: Arc<EndpointSlice>| Some((slice.namespace().to_owned(), slice.label(SERVICE_NAME)?.to_owned()));
        Self(changed.filter_map(service).collect())
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn concerns(&self, cluster: &Cluster) -> bool {
        let Discovery::Delivered(groups) = &cluster.discovery else { return false };
        self.any()
            && groups.iter().any(|group| match &group.source {
                EndpointSource::Service { namespace, name, .. } => self.0.contains(&(namespace.clone(), name.clone())),
                EndpointSource::Fixed(_) => false,
            })
    }
}

/// Both tables hold their slices while they are compared, so that an address is one slice.
fn by_address(slices: &Table<EndpointSlice>) -> HashMap<*const EndpointSlice, Arc<EndpointSlice>> {
    slices.iter().map(|slice| (Arc::as_ptr(slice), Arc::clone(slice))).collect()
}

/// The end points of all clusters of a gateway, encoded, by the name of the cluster.
pub(super) fn resources(
    before: Option<&Fleet>,
    gateway: &ir::Gateway,
    moved: &Moved,
    index: &EndpointIndex,
) -> xds::Resources {
    let known = before.map(|before| before.snapshot.resources(type_url::ENDPOINT)).unwrap_or_default();
    let same_clusters = before.is_some_and(|before| has_same_clusters(&before.gateway, gateway));
    if same_clusters && !gateway.clusters.values().any(|cluster| moved.concerns(cluster)) {
        return known;
    }
    let items = gateway.clusters.values().filter_map(|cluster| {
        let is_known = !moved.concerns(cluster) && before.is_some_and(|before| has_cluster(&before.gateway, cluster));
        let body = match known.get(&cluster.name).filter(|_| is_known) {
            Some(known) => known.body().clone(),
            None => lower::endpoints(&translate::endpoints(index, cluster)?),
        };
        Some((&cluster.name, body))
    });
    xds::Resources::build(&known, items)
}

fn has_same_clusters(before: &ir::Gateway, now: &ir::Gateway) -> bool {
    before.clusters.len() == now.clusters.len() && now.clusters.values().all(|cluster| has_cluster(before, cluster))
}

fn has_cluster(gateway: &ir::Gateway, cluster: &Arc<Cluster>) -> bool {
    gateway.clusters.get(&cluster.name).is_some_and(|known| Arc::ptr_eq(known, cluster) || known == cluster)
}
