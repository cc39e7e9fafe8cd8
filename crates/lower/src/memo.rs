//! What was made the last time, so that what did not change is not made again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use ir::{Cluster, ClusterName, Discovery, IpFamily, RouteTable, Secret};

use crate::{
    cluster::ClusterOptions,
    host::HostOptions,
    kept::Kept,
    listener::ListenerMemo,
    output::{Origin, Resource, Resources},
    settings::Settings,
    table::TableMemo,
};

/// The clusters of a gateway.
pub(crate) type Clusters = BTreeMap<ClusterName, Arc<Cluster>>;

/// What was made the last time for one fleet. Holds its memory: drop it with the fleet.
///
/// Output never depends on it: an empty one only costs the time to make everything.
#[derive(Debug, Default)]
pub struct Memo {
    settings: Option<Settings>,
    /// The clusters of the gateway, which seldom change: being the same in memory saves looking at each.
    seen: Arc<Clusters>,
    families: BTreeSet<IpFamily>,
    pub(crate) clusters: (ClusterOptions, Kept<Cluster, Bytes>, Resources),
    pub(crate) secrets: (Kept<Secret, Bytes>, Resources),
    pub(crate) tables: (HostOptions, Kept<RouteTable, TableMemo>, Resources),
    pub(crate) listeners: BTreeMap<Arc<str>, ListenerMemo>,
}

impl Memo {
    /// Forgets everything when the settings are others.
    pub(crate) fn prepare(&mut self, settings: &Settings) {
        if self.settings.as_ref() != Some(settings) {
            *self = Self { settings: Some(settings.clone()), ..Self::default() };
        }
    }

    /// Takes the clusters of a gateway; whether they are those of the time before.
    pub(crate) fn take_clusters(&mut self, clusters: &Arc<Clusters>) -> bool {
        if Arc::ptr_eq(&self.seen, clusters) {
            return true;
        }
        self.seen = Arc::clone(clusters);
        let dynamic = clusters.values().filter_map(|cluster| match cluster.discovery {
            Discovery::Dynamic { family } => Some(family),
            Discovery::Delivered(_) | Discovery::Dns { .. } => None,
        });
        self.families = dynamic.collect();
        false
    }

    /// The ways in which hosts that requests name are looked up.
    pub(crate) fn families(&self) -> BTreeSet<IpFamily> {
        self.families.clone()
    }
}

/// Collects resources from what is kept.
pub(crate) fn resources<T, V>(
    kept: &Kept<T, V>,
    name: fn(&T, &V) -> Arc<str>,
    bytes: fn(&V) -> &Bytes,
    origin: fn(Arc<T>) -> Origin,
) -> Resources {
    let resource = |(part, value): &(Arc<T>, V)| {
        let resource = Resource { bytes: bytes(value).clone(), origin: origin(Arc::clone(part)) };
        (name(part, value), resource)
    };
    Arc::new(kept.iter().map(resource).collect())
}
