//! What was made the last time, so that what did not change is not made again.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ir::{Cluster, RouteTable, Secret};

use crate::{
    cluster::ClusterOptions,
    host::HostOptions,
    kept::Kept,
    listener::ListenerMemo,
    output::{Origin, Resource, Resources},
    settings::Settings,
    table::TableMemo,
};

/// What was made the last time for one fleet. Holds its memory: drop it with the fleet.
///
/// Output never depends on it: an empty one only costs the time to make everything.
#[derive(Debug, Default)]
pub struct Memo {
    settings: Option<Settings>,
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
