//! The kinds of objects that a fleet is made of.

use std::fmt;

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::{DaemonSet, Deployment},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Secret, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object that a fleet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    ServiceAccount,
    Secret,
    Deployment,
    DaemonSet,
    Service,
    HorizontalPodAutoscaler,
    PodDisruptionBudget,
}

impl Kind {
    /// All of them, in the order in which objects are made.
    pub const ALL: [Self; 7] = [
        Self::ServiceAccount,
        Self::Secret,
        Self::Deployment,
        Self::DaemonSet,
        Self::Service,
        Self::HorizontalPodAutoscaler,
        Self::PodDisruptionBudget,
    ];

    /// How the API server knows it.
    pub fn resource(self) -> ApiResource {
        fn of<K: Resource>() -> ApiResource {
            ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk(K::GROUP, K::VERSION, K::KIND),
                K::URL_PATH_SEGMENT,
            )
        }
        match self {
            Self::ServiceAccount => of::<ServiceAccount>(),
            Self::Secret => of::<Secret>(),
            Self::Deployment => of::<Deployment>(),
            Self::DaemonSet => of::<DaemonSet>(),
            Self::Service => of::<Service>(),
            Self::HorizontalPodAutoscaler => of::<HorizontalPodAutoscaler>(),
            Self::PodDisruptionBudget => of::<PodDisruptionBudget>(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
