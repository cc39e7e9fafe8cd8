//! Whose end points an EndpointSlice has.

use crate::{EndpointSlice, Service, Stored, multicluster::ServiceImport};

/// The label with which a slice names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label with which a slice names its ServiceImport.
pub const IMPORT_NAME: &str = "multicluster.kubernetes.io/service-name";

/// A kind that has EndpointSlices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SliceOwner {
    /// A Service of this cluster.
    Service,
    /// A service of a set of clusters.
    ServiceImport,
}

impl SliceOwner {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Service, Self::ServiceImport];

    /// The one of this group and kind.
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|owner| owner.group_kind() == (group, kind))
    }

    /// Its group and kind.
    pub fn group_kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Service => (Service::GROUP, Service::KIND),
            Self::ServiceImport => (ServiceImport::GROUP, ServiceImport::KIND),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Service => SERVICE_NAME,
            Self::ServiceImport => IMPORT_NAME,
        }
    }
}

/// Whose end points a slice has, by kind and name: in its own namespace, and perhaps one of each kind, where a Service stands
/// for a ServiceImport.
pub fn owners(slice: &EndpointSlice) -> impl Iterator<Item = (SliceOwner, &str)> {
    SliceOwner::ALL.into_iter().filter_map(|owner| Some((owner, slice.label(owner.label())?)))
}
