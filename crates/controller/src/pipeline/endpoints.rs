//! The end points of a fleet's clusters: only those whose slices changed are looked up again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use api::{EndpointSlice, Resources, SliceOwner, Stored, Table, slices::owners};
use bytes::Bytes;
use envoy::type_url;
use ir::{Cluster, Discovery, backend::EndpointSource};
use translate::EndpointIndex;

use super::Fleet;

/// A few clusters are put into the set that is there; for more of them it is built anew.
const FEW: usize = 8;

/// Whose slices changed: kind, namespace and name.
#[derive(Debug, Default)]
pub(super) struct Moved(HashSet<(SliceOwner, String, String)>);

impl Moved {
    /// Whose all slices are that are not the same in both.
    pub(super) fn between(before: Option<&Resources>, now: &Resources) -> Self {
        let Some(before) = before.filter(|before| !before.endpoint_slices.same(&now.endpoint_slices)) else {
            return Self::default();
        };
        let (old, new) = (addresses(&before.endpoint_slices), addresses(&now.endpoint_slices));
        let gone = before.endpoint_slices.iter().filter(|slice| !new.contains(&Arc::as_ptr(slice)));
        let fresh = now.endpoint_slices.iter().filter(|slice| !old.contains(&Arc::as_ptr(slice)));
        let mut moved = HashSet::new();
        for slice in gone.chain(fresh) {
            let namespace = slice.namespace();
            moved.extend(owners(slice).map(|(owner, name)| (owner, namespace.to_owned(), name.to_owned())));
        }
        Self(moved)
    }

    /// Without those of which nothing is there: what nobody refers to is kept aside, and may be in use by a fleet that stays as
    /// it is.
    pub(super) fn but_aside(&self, now: &Resources) -> Self {
        let is_there = |(owner, namespace, name): &&(SliceOwner, String, String)| match owner {
            SliceOwner::Service => now.services.get(namespace, name).is_some(),
            SliceOwner::ServiceImport => now.service_imports.get(namespace, name).is_some(),
        };
        Self(self.0.iter().filter(is_there).cloned().collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn concerns(&self, cluster: &Cluster) -> bool {
        let moved =
            |(owner, namespace, name): Owner<'_>| self.0.contains(&(owner, namespace.to_owned(), name.to_owned()));
        !self.0.is_empty() && of_cluster(cluster).any(moved)
    }
}

/// Both tables hold their slices while they are compared, so that an address is one slice.
fn addresses(slices: &Table<EndpointSlice>) -> HashSet<*const EndpointSlice> {
    slices.iter().map(Arc::as_ptr).collect()
}

/// Who has slices: kind, namespace and name.
type Owner<'a> = (SliceOwner, &'a str, &'a str);

/// Whose end points a cluster takes.
fn of_cluster(cluster: &Cluster) -> impl Iterator<Item = Owner<'_>> {
    let groups = match &cluster.discovery {
        Discovery::Delivered(groups) => groups.as_slice(),
        Discovery::Dns { .. } | Discovery::Dynamic { .. } => &[],
    };
    groups.iter().filter_map(|group| match &group.source {
        EndpointSource::Slices { owner, namespace, name, .. } => Some((*owner, namespace.as_str(), name.as_str())),
        EndpointSource::Fixed(_) => None,
    })
}

/// The end points of all clusters of a gateway, encoded, by the name of the cluster.
pub(super) fn resources(
    before: Option<&Fleet>,
    gateway: &ir::Gateway,
    moved: &Moved,
    slices: &Table<EndpointSlice>,
) -> xds::Resources {
    let known = before.map(|before| before.snapshot.resources(type_url::ENDPOINT)).unwrap_or_default();
    let same = before.is_some_and(|before| Arc::ptr_eq(&before.gateway.clusters, &gateway.clusters));
    if same && moved.is_empty() {
        return known;
    }
    let is_known = |cluster: &Arc<Cluster>| same || before.is_some_and(|before| has_cluster(&before.gateway, cluster));
    let wanted = gateway.clusters.values().filter(|cluster| moved.concerns(cluster) || !is_known(cluster));
    let wanted: Vec<_> = wanted.collect();
    let same_clusters = same || before.is_some_and(|before| has_same_names(&before.gateway, gateway));
    let index = index(slices, &wanted);
    let fresh = wanted.into_iter().filter_map(|cluster| {
        Some((Arc::clone(&cluster.name), lower::endpoints(&translate::endpoints(&index, cluster)?)))
    });
    let mut fresh: HashMap<Arc<str>, Bytes> = fresh.collect();
    if same_clusters && fresh.len() <= FEW {
        let changed = |name: &Arc<str>, body: &Bytes| known.get(name).is_none_or(|known| known.body() != body);
        fresh.retain(|name, body| changed(name, body));
        return fresh.into_iter().fold(known, |known, (name, body)| known.with(name, body));
    }
    let items = gateway.clusters.keys().filter_map(|name| {
        let body = fresh.remove(name).or_else(|| known.get(name).map(|known| known.body().clone()))?;
        Some((name, body))
    });
    xds::Resources::build(&known, items)
}

/// The slices that these clusters take end points from.
fn index(slices: &Table<EndpointSlice>, clusters: &[&Arc<Cluster>]) -> EndpointIndex {
    let wanted: HashSet<Owner<'_>> = clusters.iter().flat_map(|cluster| of_cluster(cluster)).collect();
    let mut found = Table::default();
    if !wanted.is_empty() {
        let is_wanted = |slice: &&Arc<EndpointSlice>| {
            owners(slice).any(|(owner, name)| wanted.contains(&(owner, slice.namespace(), name)))
        };
        slices.iter().filter(is_wanted).for_each(|slice| found.insert(Arc::clone(slice)));
    }
    EndpointIndex::new(&found)
}

fn has_same_names(before: &ir::Gateway, now: &ir::Gateway) -> bool {
    before.clusters.len() == now.clusters.len() && before.clusters.keys().eq(now.clusters.keys())
}

fn has_cluster(gateway: &ir::Gateway, cluster: &Arc<Cluster>) -> bool {
    gateway.clusters.get(&cluster.name).is_some_and(|known| Arc::ptr_eq(known, cluster) || known == cluster)
}
