//! Resource and configuration types: what a user may write, and nothing about what it means.
//!
//! ```text
//! document ──▶ parse ──▶ Object ──▶ Resources (immutable tables, shared by Arc)
//! ```
//!
//! [`kinds::KINDS`] is the one table of the resource kinds we read. Everything that must know all kinds (parsing,
//! watching, RBAC, CRD generation, status, the command line) is derived from it: a new kind is one row there.

pub mod config;
pub mod ext;
pub mod gateway;
pub mod kinds;
pub mod multicluster;
pub mod object;
pub mod parse;
mod read;
pub mod references;
pub mod resources;
pub mod route;
pub mod rules;
pub mod slices;
pub mod stand_in;

pub use kinds::{KINDS, Kind, Object, Scope};
pub use multicluster::ServiceImport;
pub use object::{ObjectRef, Stored};
pub use parse::{ParseError, Parsed, parse};
pub use resources::{Addresses, Facts, Rejection, Resources, Table, Unreadable};
pub use route::{Route, RouteKind};
pub use slices::SliceOwner;

pub use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
pub use k8s_openapi::api::discovery::v1::EndpointSlice;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta, Time};
pub use k8s_openapi::jiff::Timestamp;
pub use kube::ResourceExt;
