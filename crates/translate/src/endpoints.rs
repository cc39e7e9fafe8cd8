//! End points, as they are now: the short way, apart from translation.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use api::{EndpointSlice, SliceOwner, Stored, Table, slices::owners};
use ir::{
    Cluster, Discovery, Endpoint, Endpoints, IpFamily,
    backend::{EndpointSource, EndpointsOfGroup},
};

/// The slices of each Service and ServiceImport, by its namespace and name.
#[derive(Debug, Default)]
pub struct EndpointIndex(HashMap<(SliceOwner, String, String), Vec<Arc<EndpointSlice>>>);

impl EndpointIndex {
    /// Sorts the slices by whose they are.
    pub fn new(slices: &Table<EndpointSlice>) -> Self {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        for slice in slices.iter() {
            for (owner, name) in owners(slice) {
                let key = (owner, slice.namespace().to_owned(), name.to_owned());
                index.entry(key).or_default().push(Arc::clone(slice));
            }
        }
        Self(index)
    }

    fn of(&self, owner: SliceOwner, namespace: &str, name: &str) -> &[Arc<EndpointSlice>] {
        self.0.get(&(owner, namespace.to_owned(), name.to_owned())).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The end points of a cluster, as they are now; nothing for one whose end points Envoy finds itself.
pub fn endpoints(index: &EndpointIndex, cluster: &Cluster) -> Option<Endpoints> {
    let Discovery::Delivered(groups) = &cluster.discovery else { return None };
    let groups = groups.iter().map(|group| EndpointsOfGroup {
        weight: group.weight,
        priority: group.priority,
        endpoints: match &group.source {
            EndpointSource::Fixed(endpoints) => endpoints.clone(),
            EndpointSource::Slices { owner, namespace, name, port_name, family, .. } => {
                of_slices(index.of(*owner, namespace, name), port_name, *family)
            }
        },
    });
    Some(Endpoints { cluster: Arc::clone(&cluster.name), groups: groups.collect() })
}

/// The end points of one port of a Service: those that are ready, or, when none is, those that still serve while they
/// terminate (as kube-proxy does, KEP-1669).
fn of_slices(slices: &[Arc<EndpointSlice>], port_name: &str, family: Option<IpFamily>) -> Vec<Endpoint> {
    let wanted = family.unwrap_or_else(|| preferred(slices));
    let mut all: Vec<(Endpoint, bool)> = Vec::new();
    for slice in slices.iter().filter(|slice| has_family(slice, wanted)) {
        let ports = slice.ports.iter().flatten();
        let port =
            ports.filter(|port| port.name.as_deref().unwrap_or_default() == port_name).find_map(|port| port.port);
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        all.extend(slice.endpoints.iter().flat_map(|endpoint| of_slice(endpoint, port)));
    }
    let any_ready = all.iter().any(|(_, ready)| *ready);
    let mut endpoints: Vec<_> =
        all.into_iter().filter(|(_, ready)| *ready || !any_ready).map(|(item, _)| item).collect();
    endpoints.sort();
    endpoints.dedup();
    endpoints
}

/// The addresses of one end point that takes traffic, and whether it is ready for more.
fn of_slice(endpoint: &k8s_openapi::api::discovery::v1::Endpoint, port: u16) -> Vec<(Endpoint, bool)> {
    let conditions = endpoint.conditions.as_ref();
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    let serving = conditions.and_then(|conditions| conditions.serving).unwrap_or(ready);
    let terminating = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
    let takes_traffic = ready || (serving && terminating);
    if !takes_traffic {
        return Vec::new();
    }
    let addresses = endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
    let zone = endpoint.zone.clone();
    addresses
        .map(|address| {
            let draining = !ready;
            let hostname = endpoint.hostname.clone();
            (Endpoint::Ip { address, port, zone: zone.clone(), hostname, draining }, ready)
        })
        .collect()
}

/// IPv4 where there is any, as most networks have it.
fn preferred(slices: &[Arc<EndpointSlice>]) -> IpFamily {
    match slices.iter().any(|slice| slice.address_type == "IPv4") {
        true => IpFamily::V4,
        false => IpFamily::V6,
    }
}

fn has_family(slice: &EndpointSlice, family: IpFamily) -> bool {
    match family {
        IpFamily::V4 => slice.address_type == "IPv4",
        IpFamily::V6 => slice.address_type == "IPv6",
        IpFamily::Dual => matches!(slice.address_type.as_str(), "IPv4" | "IPv6"),
    }
}
