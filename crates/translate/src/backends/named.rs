//! A service that a policy or a telemetry sink names by a list of references.

use std::sync::Arc;

use api::ext::common::BackendRef;
use ir::ClusterName;

use super::{Member, Reference, Scope, Usage, combine, resolve};
use crate::{grants::Referrer, problem::Problem, rules::Used};

/// The cluster of a service, and what to call it in `:authority`. Several references become one cluster.
pub(crate) fn named(
    scope: Scope<'_>,
    from: Referrer<'_>,
    references: &[BackendRef],
    usage: Usage,
    used: &mut Used,
) -> Result<(ClusterName, String), Problem> {
    let mut members = Vec::new();
    let mut authority = None;
    for reference in references {
        let resolved = resolve(scope, from, &Reference::from(reference), usage)?;
        authority.get_or_insert_with(|| resolved.authority.clone());
        let fallback = reference.fallback.unwrap_or(resolved.fallback);
        let cluster = resolved.cluster.clone();
        used.note_keys(resolved);
        let broken = || Problem::new("Invalid", format!("{} has a broken BackendTLSPolicy", reference.name));
        let weight = u32::try_from(reference.weight).unwrap_or_default();
        members.push(Member { cluster: cluster.ok_or_else(broken)?, weight, fallback });
    }
    let authority = authority.ok_or_else(|| Problem::new("Invalid", "it names no backendRefs"))?;
    let cluster = match members.as_slice() {
        [one] => Arc::clone(&one.cluster),
        several => combine(several).ok_or_else(|| {
            Problem::new("Invalid", "its backendRefs must speak the same protocol and be found in the same way")
        })?,
    };
    Ok((used.note_cluster(cluster), authority))
}
