//! Routes of bytes and datagrams: one rule, no matches.

use api::{Route, RouteKind, gateway::BackendRef};
use ir::{WeightedCluster, route::HeaderMutation};

use crate::{
    backends::{Member, Reference, Scope, Usage, combine, resolve},
    grants::Referrer,
    problem::Problem,
    rules::Compiled,
};

/// Follows the references of a route's only rule. A share whose reference does not resolve is refused, as the
/// specification wants it.
pub(super) fn compile(scope: Scope<'_>, route: &Route) -> Compiled {
    let rules = route.spec.rules.as_deref().unwrap_or_default();
    let mut out = Compiled { rules: rules.len(), ..Compiled::default() };
    if rules.len() > 1 {
        let message = "Dropped Rule 1: a route of this kind has nothing to choose a rule by; the first one is used";
        out.refused.push(Problem::new("UnsupportedValue", message));
        out.dropped = rules.len() - 1;
    }
    let references = rules.first().and_then(|rule| rule.backend_refs.as_deref()).unwrap_or_default();
    out.layer4 = match route.kind {
        RouteKind::Udp => datagrams(scope, route, references, &mut out),
        _ => references.iter().map(|reference| share(scope, route, reference, &mut out)).collect(),
    };
    out
}

fn weight(reference: &BackendRef) -> u32 {
    reference.weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1)
}

fn weighted(cluster: Option<ir::ClusterName>, weight: u32) -> WeightedCluster {
    let none = HeaderMutation::default;
    WeightedCluster { cluster, weight, request_headers: none(), response_headers: none() }
}

fn share(scope: Scope<'_>, route: &Route, reference: &BackendRef, out: &mut Compiled) -> WeightedCluster {
    let resolved = resolve(scope, Referrer::of(route), &Reference::from(reference), Usage::Tcp);
    let cluster = match resolved {
        Ok(resolved) => out.used.note(resolved),
        Err(problem) => {
            out.unresolved.push(problem);
            None
        }
    };
    weighted(cluster, weight(reference))
}

/// Envoy's UDP proxy has one cluster, so weights are kept inside of it.
fn datagrams(scope: Scope<'_>, route: &Route, references: &[BackendRef], out: &mut Compiled) -> Vec<WeightedCluster> {
    let mut members = Vec::new();
    for reference in references {
        match resolve(scope, Referrer::of(route), &Reference::from(reference), Usage::Udp) {
            Ok(resolved) => {
                let fallback = resolved.fallback;
                out.used.tls_targets.extend(resolved.tls_target);
                members.extend(resolved.cluster.map(|cluster| Member { cluster, weight: weight(reference), fallback }));
            }
            Err(problem) => out.unresolved.push(problem),
        }
    }
    let cluster = match members.as_slice() {
        [] => return Vec::new(),
        [one] => Some(std::sync::Arc::clone(&one.cluster)),
        several => combine(several),
    };
    match cluster {
        Some(cluster) => vec![weighted(Some(out.used.note_cluster(cluster)), 1)],
        None => {
            let message = "Dropped Rule 0: back ends of a UDPRoute must all be addresses, or all be names";
            out.refused.push(Problem::new("UnsupportedValue", message));
            out.dropped = out.rules;
            Vec::new()
        }
    }
}
