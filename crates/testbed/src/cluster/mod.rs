//! A real Kubernetes of one node on this machine, without Docker.
//!
//! ```text
//!   this machine ──cable, one route──▶ node: kubelet, kube-proxy, containerd ──bridge──▶ pods
//!                                      etcd, API server, controllers, scheduler
//! ```
//!
//! Everything runs in namespaces of its own (processes, mounts, network, host name) with no way out but to this machine, and dies
//! with the process that started it. Several clusters run side by side. Addresses are in [`Net`].
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use testbed::cluster::{Channel, Cluster};
//! let cluster = Cluster::api_only().start().await?;
//! cluster.install_gateway_api(Channel::Standard).await?;
//! println!("export KUBECONFIG={}", cluster.kubeconfig().display());
//! # Ok(()) }
//! ```
//!
//! [`Cluster::api_only`] is an API server with controllers, ready in three seconds; [`Cluster::full`] also runs pods. Both need
//! root.

mod api;
mod balancer;
mod cgroups;
mod claim;
mod components;
mod control_plane;
mod credentials;
mod dns;
mod handle;
mod image;
mod images;
mod namespaces;
mod net;
mod node;
mod outage;
mod place;
mod spec;

use std::ops::Deref;

use anyhow::Result;

pub use api::{Api, Calls, Watch};
pub use cgroups::Memory;
pub use components::Component;
pub use handle::{Channel, Handle};
pub use image::Image;
pub use images::redis as redis_image;
pub use net::Net;
pub use place::{held, holder, is_held, sweep_all};
pub use spec::{Spec, check_root};

use balancer::Balancer;
use credentials::Credentials;
use namespaces::Namespaces;
use place::Place;

use crate::process::Process;

/// A running cluster that this process owns. Dropping it ends it, and leaves nothing behind. What can be done with it is said
/// at [`Handle`].
#[derive(Debug)]
pub struct Cluster {
    handle: Handle,
    api: Api,
    credentials: Credentials,
    audited: bool,
    owned: Owned,
}

/// What a cluster consists of, in the order in which it has to go.
#[derive(Debug)]
struct Owned {
    _balancer: Balancer,
    namespaces: Namespaces,
    daemons: Vec<Process>,
    place: Place,
}

impl Cluster {
    /// A cluster that runs pods: Services, load balancers and DNS work.
    pub fn full() -> Spec {
        Spec::new(true)
    }

    /// Only the API server and the controllers: objects are stored, admitted and garbage collected, but nothing runs.
    pub fn api_only() -> Spec {
        Spec::new(false)
    }

    /// Its API, as an administrator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Ends it without standing in the way of other tasks.
    pub async fn stop(self) -> Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }
}

impl Deref for Cluster {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}
