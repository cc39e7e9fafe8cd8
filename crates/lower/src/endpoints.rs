//! The end points of a cluster, on their own short way.
//!
//! Groups with weights, and names with weights, are localities to Envoy, which spreads requests over localities by weight.
//! Without weights end points stand in one pool, told apart by zone for statistics, and where those near are preferred.

use std::collections::BTreeMap;

use bytes::Bytes;
use envoy::{
    Message, core,
    endpoint::{self, ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier},
    socket_address,
};
use ir::{Endpoint, Endpoints, backend::EndpointsOfGroup};

use crate::convert::pipe;

/// The encoded `ClusterLoadAssignment` of a cluster.
pub fn endpoints(endpoints: &Endpoints) -> Bytes {
    let Endpoints { cluster, groups } = endpoints;
    let weighted = groups.iter().any(|group| group.weight.is_some());
    let mut localities: BTreeMap<Place, Vec<LbEndpoint>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        let EndpointsOfGroup { weight, priority, endpoints } = group;
        for endpoint in endpoints {
            let place = Place {
                // Those that drain come after those that do not, and before the next priority: Envoy sends them nothing
                // new unless there is nothing else, but lets them finish.
                priority: priority * 2 + u32::from(is_draining(endpoint)),
                group: if weighted { Some((index, weight.unwrap_or(1))) } else { None },
                zone: if weighted { None } else { zone(endpoint) },
            };
            localities.entry(place).or_default().push(lb_endpoint(endpoint));
        }
    }
    assignment(cluster, localities).encode_to_vec().into()
}

/// A DNS name as an end point.
pub(crate) struct Named {
    pub(crate) hostname: String,
    pub(crate) port: u16,
    pub(crate) zone: Option<String>,
    pub(crate) weight: Option<u32>,
    pub(crate) priority: u32,
}

/// Names as the end points of a cluster.
pub(crate) fn of_names(cluster: &str, names: Vec<Named>) -> ClusterLoadAssignment {
    let weighted = names.iter().any(|name| name.weight.is_some());
    let mut localities: BTreeMap<Place, Vec<LbEndpoint>> = BTreeMap::new();
    for (index, name) in names.into_iter().enumerate() {
        let place = Place {
            priority: name.priority,
            group: if weighted { Some((index, name.weight.unwrap_or(1))) } else { None },
            zone: if weighted { None } else { name.zone },
        };
        let address = socket_address(&name.hostname, name.port);
        localities.entry(place).or_default().push(host(address, name.hostname));
    }
    assignment(cluster, localities)
}

/// Where an end point stands, in the order in which Envoy gets them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    priority: u32,
    /// The group and its weight, where weights count.
    group: Option<(usize, u32)>,
    zone: Option<String>,
}

fn assignment(cluster: &str, mut localities: BTreeMap<Place, Vec<LbEndpoint>>) -> ClusterLoadAssignment {
    localities.retain(|place, _| place.group.is_none_or(|(_, weight)| weight > 0));
    // Envoy wants priorities without gaps.
    let mut priorities: Vec<u32> = localities.keys().map(|place| place.priority).collect();
    priorities.dedup();
    let locality = |(place, lb_endpoints): (Place, Vec<LbEndpoint>)| LocalityLbEndpoints {
        priority: priorities.iter().take_while(|priority| **priority < place.priority).map(|_| 1).sum(),
        load_balancing_weight: place.group.map(|(_, weight)| weight),
        locality: (place.group.is_some() || place.zone.is_some()).then(|| core::Locality {
            zone: place.zone.unwrap_or_default(),
            // Localities of one name would be one.
            sub_zone: place.group.map(|(index, _)| format!("group-{index}")).unwrap_or_default(),
            ..Default::default()
        }),
        lb_endpoints,
        ..Default::default()
    };
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: localities.into_iter().map(locality).collect(),
        ..Default::default()
    }
}

fn is_draining(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Ip { draining: true, .. })
}

fn zone(endpoint: &Endpoint) -> Option<String> {
    match endpoint {
        Endpoint::Ip { zone, .. } | Endpoint::Unix { zone, .. } => zone.clone(),
    }
}

fn lb_endpoint(endpoint: &Endpoint) -> LbEndpoint {
    match endpoint {
        Endpoint::Ip { address, port, zone: _, hostname, draining: _ } => {
            host(socket_address(&address.to_string(), *port), hostname.clone().unwrap_or_default())
        }
        Endpoint::Unix { path, zone: _, hostname } => host(pipe(path), hostname.clone().unwrap_or_default()),
    }
}

fn host(address: core::Address, hostname: String) -> LbEndpoint {
    let endpoint = endpoint::Endpoint { address: Some(address), hostname, ..Default::default() };
    LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..Default::default() }
}
