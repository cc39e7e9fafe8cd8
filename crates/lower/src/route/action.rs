//! Requests go to a back end.

use envoy::route::{
    RouteAction, WeightedCluster,
    route_action::{ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy},
    weighted_cluster::ClusterWeight,
};
use ir::{
    Forward, Matcher,
    route::{HostRewrite, Mirror},
};

use super::{retry, rewrite};
use crate::convert::{header_options, millionths, substitute};

/// The name of a cluster that is never there.
///
/// The share of a reference that does not resolve goes to it, so that it is answered with 500 (gRPC: 503) as the Gateway API
/// demands, while the other shares go where they should.
const UNRESOLVED: &str = "unresolved";

/// Every request is copied.
const ALL: u32 = 1_000_000;

/// The action of a route that forwards.
pub(super) fn forward(matcher: &Matcher, forward: &Forward) -> RouteAction {
    let unresolved = forward.clusters.iter().any(|share| share.weight > 0 && share.cluster.is_none());
    let mut action = RouteAction {
        cluster_specifier: Some(clusters(&forward.clusters)),
        host_rewrite_specifier: forward.host.as_ref().map(host),
        // Envoy's default of 15 s would surprise: without a limit there is none.
        timeout: Some(envoy::duration(forward.timeout.unwrap_or_default())),
        retry_policy: retry::policy(forward),
        request_mirror_policies: forward.mirrors.iter().map(mirror).collect(),
        append_x_forwarded_host: forward.append_forwarded_host && forward.host.is_some(),
        ..Default::default()
    };
    // Envoy's own word is 503.
    if unresolved && !forward.unresolved_is_unavailable {
        action.cluster_not_found_response_code = ClusterNotFoundResponseCode::InternalServerError.into();
    }
    if let Some(path) = &forward.path {
        rewrite::of_action(matcher, path, &mut action);
    }
    action
}

fn clusters(shares: &[ir::WeightedCluster]) -> ClusterSpecifier {
    let name = |share: &ir::WeightedCluster| share.cluster.as_deref().unwrap_or(UNRESOLVED).to_owned();
    // No share, no requests: Envoy would only carry it along.
    let mut shares = shares.iter().filter(|share| share.weight > 0).peekable();
    let first = shares.next();
    match first {
        Some(only)
            if shares.peek().is_none() && only.request_headers.is_empty() && only.response_headers.is_empty() =>
        {
            ClusterSpecifier::Cluster(name(only))
        }
        Some(first) => {
            let weight = |share: &ir::WeightedCluster| ClusterWeight {
                name: name(share),
                weight: Some(share.weight),
                request_headers_to_add: header_options(&share.request_headers),
                request_headers_to_remove: share.request_headers.remove.clone(),
                response_headers_to_add: header_options(&share.response_headers),
                response_headers_to_remove: share.response_headers.remove.clone(),
                ..Default::default()
            };
            let clusters = std::iter::once(first).chain(shares).map(weight).collect();
            ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..Default::default() })
        }
        None => ClusterSpecifier::Cluster(UNRESOLVED.to_owned()),
    }
}

fn host(host: &HostRewrite) -> HostRewriteSpecifier {
    match host {
        HostRewrite::Name(name) => HostRewriteSpecifier::HostRewriteLiteral(name.clone()),
        HostRewrite::Header(name) => HostRewriteSpecifier::HostRewriteHeader(name.clone()),
        HostRewrite::Endpoint => HostRewriteSpecifier::AutoHostRewrite(true),
        HostRewrite::PathRegex { pattern, substitution } => {
            HostRewriteSpecifier::HostRewritePathRegex(substitute(pattern, substitution))
        }
    }
}

fn mirror(mirror: &Mirror) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: mirror.cluster.to_string(),
        runtime_fraction: (mirror.millionths < ALL).then(|| millionths(mirror.millionths)),
        // A copy is a copy: a back end that looks at the host should see the one that the original has.
        disable_shadow_host_suffix_append: true,
        ..Default::default()
    }
}
