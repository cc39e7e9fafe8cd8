//! Several back ends as one cluster: where a session must stick to an end point of any of them, where one is the
//! fall-back of the others, and for datagrams, which cannot be split over clusters.

use std::sync::Arc;

use ir::{Cluster, Discovery, backend::EndpointSource};

use super::{NEAR, fingerprint};

/// A back end that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) weight: u32,
    pub(crate) fallback: bool,
}

/// One cluster of all members. `None` when they cannot be one: they are spoken to in different ways, or found in
/// different ways.
pub(crate) fn combine(members: &[Member]) -> Option<Arc<Cluster>> {
    let (first, rest) = members.split_first()?;
    let same =
        |other: &Member| other.cluster.protocol == first.cluster.protocol && other.cluster.tls == first.cluster.tls;
    if !rest.iter().all(same) {
        return None;
    }
    // Without a primary the fall-backs are what there is.
    let any_primary = members.iter().any(|member| !member.fallback && member.weight > 0);
    let priority = |member: &Member| u32::from(any_primary && member.fallback);
    let mut groups = Vec::new();
    let mut names = Vec::new();
    let mut dns_family = None;
    for member in members.iter().filter(|member| member.weight > 0) {
        match &member.cluster.discovery {
            Discovery::Delivered(own) => groups.extend(own.iter().cloned().map(|mut group| {
                group.weight = Some(member.weight);
                // Zones do not count among weights.
                if let EndpointSource::Slices { nearness, .. } = &mut group.source {
                    *nearness = None;
                }
                group.priority = priority(member);
                group
            })),
            Discovery::Dns { endpoints, family } => {
                dns_family = Some(*family);
                names.extend(endpoints.iter().cloned().map(|mut endpoint| {
                    endpoint.weight = Some(member.weight);
                    endpoint.priority = priority(member);
                    endpoint
                }));
            }
            Discovery::Dynamic { .. } => return None,
        }
    }
    let discovery = match (groups.is_empty(), dns_family) {
        (false, None) => Discovery::Delivered(groups),
        (true, Some(family)) => Discovery::Dns { endpoints: names, family },
        _ => return None,
    };
    let content: Vec<_> = members.iter().map(|member| (by_weight(member), member.weight, priority(member))).collect();
    let name = format!("group/{:08x}/{}", fingerprint(&format!("{content:?}")), by_weight(first));
    let mut sources: Vec<_> = members.iter().flat_map(|member| member.cluster.sources.clone()).collect();
    sources.sort();
    sources.dedup();
    Some(Arc::new(Cluster {
        name: name.into(),
        discovery,
        ejects_failing: members.iter().any(|member| member.fallback),
        sources,
        ..(*first.cluster).clone()
    }))
}

/// The name of a member's own cluster if zones did not count.
fn by_weight(member: &Member) -> &str {
    member.cluster.name.trim_end_matches(NEAR)
}
