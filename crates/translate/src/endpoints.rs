//! End points, as they are now: the short way, apart from translation.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use api::{EndpointSlice, SliceOwner, Stored, Table, slices::owners};
use ir::{
    Cluster, Discovery, Endpoint, Endpoints, IpFamily,
    backend::{EndpointSource, EndpointsOfGroup, Nearness},
};
use k8s_openapi::api::discovery::v1::Endpoint as Listed;

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
            EndpointSource::Slices { owner, namespace, name, port_name, family, nearness, .. } => {
                let slices = index.of(*owner, namespace, name);
                let of = |family| of_slices(slices, port_name, family, *nearness);
                // Of both families IPv4, as most networks have it. A Service of both has slices of both in any case, so it's
                // the end points that count.
                let or_else =
                    |endpoints: Vec<Endpoint>| if endpoints.is_empty() { of(IpFamily::V6) } else { endpoints };
                family.map_or_else(|| or_else(of(IpFamily::V4)), of)
            }
        },
    });
    Some(Endpoints { cluster: Arc::clone(&cluster.name), groups: groups.collect() })
}

/// The end points of one port of a Service: those that are ready, or, when none is, those that still serve while they
/// terminate (as kube-proxy does, KEP-1669).
fn of_slices(
    slices: &[Arc<EndpointSlice>],
    port_name: &str,
    family: IpFamily,
    nearness: Option<Nearness>,
) -> Vec<Endpoint> {
    let mut found: Vec<(&Listed, u16)> = Vec::new();
    for slice in slices.iter().filter(|slice| has_family(slice, family)) {
        let ports = slice.ports.iter().flatten();
        let port =
            ports.filter(|port| port.name.as_deref().unwrap_or_default() == port_name).find_map(|port| port.port);
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        found.extend(slice.endpoints.iter().map(|listed| (listed, port)));
    }
    let draining = !found.iter().any(|(listed, _)| is_ready(listed));
    found.retain(|(listed, _)| if draining { is_finishing(listed) } else { is_ready(listed) });
    let zone = zone_by(nearness, draining, &found);
    let of_listed = |(listed, port): (&Listed, u16)| {
        let zone = zone(listed).map(str::to_owned);
        let addresses = listed.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
        let hostname = listed.hostname.clone();
        addresses
            .map(|address| Endpoint::Ip { address, port, zone: zone.clone(), hostname: hostname.clone(), draining })
            .collect::<Vec<_>>()
    };
    let mut endpoints: Vec<_> = found.into_iter().flat_map(of_listed).collect();
    endpoints.sort();
    endpoints.dedup();
    endpoints
}

/// What is not known counts as ready.
fn is_ready(listed: &Listed) -> bool {
    listed.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// Whether it still serves while it terminates.
fn is_finishing(listed: &Listed) -> bool {
    let Some(conditions) = &listed.conditions else { return false };
    conditions.serving.unwrap_or(true) && conditions.terminating.unwrap_or(false)
}

/// How the zone of an end point is found.
type ZoneOf = fn(&Listed) -> Option<&str>;

/// Where those near are preferred the zone is the one that an end point is meant for. As kube-proxy has it, all or none have
/// one: those without would never be used.
fn zone_by(nearness: Option<Nearness>, draining: bool, found: &[(&Listed, u16)]) -> ZoneOf {
    let Some(nearness) = nearness else { return own_zone };
    let all_have = |zone: ZoneOf| found.iter().all(|(listed, _)| zone(listed).is_some());
    match nearness {
        _ if draining => |_| None,
        _ if all_have(hinted_zone) => hinted_zone,
        Nearness::Zone if all_have(own_zone) => own_zone,
        Nearness::Zone | Nearness::Hints => |_| None,
    }
}

fn own_zone(listed: &Listed) -> Option<&str> {
    listed.zone.as_deref()
}

/// The zone that an end point is meant for: its own, or else the first, for it can stand in one place only.
fn hinted_zone(listed: &Listed) -> Option<&str> {
    let zones = listed.hints.as_ref().and_then(|hints| hints.for_zones.as_deref()).unwrap_or_default();
    let own = zones.iter().find(|zone| Some(&zone.name) == listed.zone.as_ref());
    own.or(zones.first()).map(|zone| zone.name.as_str())
}

fn has_family(slice: &EndpointSlice, family: IpFamily) -> bool {
    match family {
        IpFamily::V4 => slice.address_type == "IPv4",
        IpFamily::V6 => slice.address_type == "IPv6",
        IpFamily::Dual => matches!(slice.address_type.as_str(), "IPv4" | "IPv6"),
    }
}
