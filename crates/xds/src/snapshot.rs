//! Everything that a group of Envoys shall have, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::resource::Resources;

/// A resource type, as `type.googleapis.com/envoy.config.cluster.v3.Cluster`.
pub type TypeUrl = Arc<str>;

/// Everything that a group of Envoys shall have. Immutable; share it in an `Arc`.
///
/// It should hold no route that no listener names: Envoy never asks for such a route, and the revision never counts as
/// acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: u64,
    types: BTreeMap<TypeUrl, Resources>,
}

impl Snapshot {
    /// Starts an empty snapshot.
    pub fn builder(revision: u64) -> SnapshotBuilder {
        SnapshotBuilder { snapshot: Self { revision, types: BTreeMap::new() } }
    }

    /// Starts from this one: types that are not set again stay as they are, and resources that come again with the same
    /// bytes are shared.
    pub fn next(&self, revision: u64) -> SnapshotBuilder {
        SnapshotBuilder { snapshot: Self { revision, types: self.types.clone() } }
    }

    /// The caller's number for this state of its input. Later states have higher numbers.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The resources of a type; an empty set for a type that was never set.
    pub fn resources(&self, type_url: &str) -> Resources {
        self.types.get(type_url).cloned().unwrap_or_default()
    }

    /// All types that were set, in the order of their names.
    pub fn types(&self) -> impl Iterator<Item = (&TypeUrl, &Resources)> {
        self.types.iter()
    }
}

/// A snapshot in the making; see [`Snapshot::next`].
#[derive(Debug)]
pub struct SnapshotBuilder {
    snapshot: Snapshot,
}

impl SnapshotBuilder {
    /// Sets all resources of a type: names and encoded messages.
    #[must_use]
    pub fn set<N, B>(self, type_url: &str, items: impl IntoIterator<Item = (N, B)>) -> Self
    where
        N: AsRef<str>,
        B: AsRef<[u8]> + Into<Bytes>,
    {
        let resources = Resources::build(&self.snapshot.resources(type_url), items);
        self.set_resources(type_url, resources)
    }

    /// Sets all resources of a type to a set that is there already.
    #[must_use]
    pub fn set_resources(mut self, type_url: &str, resources: Resources) -> Self {
        match self.snapshot.types.get_mut(type_url) {
            Some(slot) => *slot = resources,
            None => drop(self.snapshot.types.insert(TypeUrl::from(type_url), resources)),
        }
        self
    }

    /// The finished snapshot.
    pub fn build(self) -> Arc<Snapshot> {
        Arc::new(self.snapshot)
    }
}
