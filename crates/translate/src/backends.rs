//! References to back ends, and the clusters that stand for them.

mod backend;
mod combine;
mod named;
mod service;
mod tls;

use std::{sync::Arc, time::Duration};

use api::{ObjectRef, Resources, Service, SliceOwner, Stored, ext::Backend, gateway::RedirectScheme};
use ir::{Cluster, Discovery, EndpointGroup, Secret, UpstreamProtocol, UpstreamTls, names::fingerprint};

use crate::{
    Options,
    grants::{Referent, Referrer, permits, refusal},
    plan::{Fleet, GatewayPlan, Plan},
    problem::Problem,
};

pub(crate) use backend::problem;
pub(crate) use combine::{Member, combine};
pub(crate) use named::named;

/// Ends the names of clusters whose end points near to the Envoy come first.
const NEAR: &str = "~near";

/// How long a connection may take to be made, unless a policy says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a reference is resolved with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) resources: &'a Resources,
    pub(crate) options: &'a Options,
    pub(crate) plan: &'a Plan,
    /// The gateway that the requests come through.
    pub(crate) gateway: usize,
    /// The listener, where the location of a redirect depends on it.
    pub(crate) redirects_from: Option<RedirectsFrom>,
    /// The client's TLS is passed through, so none of ours is added.
    pub(crate) passthrough: bool,
}

impl<'a> Scope<'a> {
    pub(crate) fn gateway(&self) -> &'a GatewayPlan {
        &self.plan.gateways[self.gateway]
    }

    pub(crate) fn fleet(&self) -> &'a Fleet {
        &self.plan.fleets[self.gateway().fleet]
    }
}

/// What of a listener the location of a redirect depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RedirectsFrom {
    pub(crate) port: u16,
    pub(crate) https: bool,
}

impl RedirectsFrom {
    /// The scheme of a location that names none.
    pub(crate) fn scheme(self) -> RedirectScheme {
        if self.https { RedirectScheme::Https } else { RedirectScheme::Http }
    }
}

/// What is spoken to a back end, when it does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// HTTP, version 1.1 unless the back end names another.
    Http,
    /// gRPC: always HTTP/2.
    Grpc,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A reference to a back end, of any of the types that have one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) port: Option<i32>,
}

macro_rules! reference_from {
    (optional: $($type:ty),*) => {$(
        impl From<&$type> for Reference {
            fn from(from: &$type) -> Self {
                Self {
                    group: from.group.clone().unwrap_or_default(),
                    kind: from.kind.clone().unwrap_or_else(|| Service::KIND.to_owned()),
                    namespace: from.namespace.clone(),
                    name: from.name.clone(),
                    port: from.port,
                }
            }
        }
    )*};
    (given: $($type:ty),*) => {$(
        impl From<&$type> for Reference {
            fn from(from: &$type) -> Self {
                Self {
                    group: from.group.clone(),
                    kind: from.kind.clone(),
                    namespace: from.namespace.clone(),
                    name: from.name.clone(),
                    port: from.port,
                }
            }
        }
    )*};
}
reference_from!(optional: api::gateway::BackendRef, api::gateway::UnweightedBackendRef);
reference_from!(given: api::ext::common::BackendRef, api::ext::common::BackendObjectReference);

/// A back end that was found.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// The cluster; nothing when the back end must not be spoken to (its TLS policy is broken): 500.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Key material that the cluster uses.
    pub(crate) secrets: Vec<Arc<Secret>>,
    /// What of it a TLS policy names, by number (`BackendTlsIndex::find`).
    pub(crate) tls_target: Option<usize>,
    /// Used only while the others of the rule are down.
    pub(crate) fallback: bool,
    /// `name.namespace:port`, for a `Host` or `:authority` of our own.
    pub(crate) authority: String,
}

/// Follows a reference.
pub(crate) fn resolve(
    scope: Scope<'_>,
    from: Referrer<'_>,
    reference: &Reference,
    usage: Usage,
) -> Result<Resolved, Problem> {
    let to = Referent {
        group: &reference.group,
        kind: &reference.kind,
        namespace: reference.namespace.as_deref().unwrap_or(from.namespace),
        name: &reference.name,
    };
    let owner = SliceOwner::find(to.group, to.kind);
    if owner.is_none() && (to.group, to.kind) != (Backend::GROUP, Backend::KIND) {
        let message = format!(
            "{} {} of group {:?} is not a back end; use a Service, a ServiceImport or a Backend",
            to.kind, to.name, to.group
        );
        return Err(Problem::new("InvalidKind", message));
    }
    if !permits(scope.resources, from, to) {
        return Err(Problem::new("RefNotPermitted", refusal(from, to)));
    }
    match owner {
        Some(owner) => service::resolve(scope, to, owner, reference.port, usage),
        None => backend::resolve(scope, to, usage),
    }
}

/// What a cluster is made of.
struct Parts {
    base: String,
    discovery: Discovery,
    protocol: UpstreamProtocol,
    tls: Option<UpstreamTls>,
    /// The back end, and what says how TLS is spoken to it.
    sources: Vec<ObjectRef>,
}

/// Makes a cluster and names it by its content: the usual settings have the plain name, others a hash of what differs.
fn cluster(parts: Parts) -> Arc<Cluster> {
    let Parts { base, discovery, protocol, tls, sources } = parts;
    let near = matches!(&discovery, Discovery::Delivered(groups) if groups.iter().any(EndpointGroup::prefers_near));
    let usual = tls.is_none() && protocol == UpstreamProtocol::Http1;
    let name = if usual { base } else { format!("{base}~{:08x}", fingerprint(&format!("{protocol:?} {tls:?}"))) };
    // Which end points go first is said in clear: it is seen in statistics.
    let name = if near { format!("{name}{NEAR}") } else { name };
    Arc::new(Cluster {
        name: name.into(),
        discovery,
        protocol,
        tls,
        connect_timeout: CONNECT_TIMEOUT,
        ejects_failing: false,
        sources,
    })
}
