//! `envoy.filters.http.ext_authz`: a service decides who may pass. One instance for each resource that asks for one.

use envoy::{
    core::{self, HttpUri, http_uri::HttpUpstreamType},
    ext::http::ext_authz::{
        AuthorizationResponse, BufferSettings, CheckSettings, ExtAuthz, ExtAuthzPerRoute, HttpService,
        ext_authz::Services, ext_authz_per_route::Override,
    },
    matcher::{ListStringMatcher, StringMatcher, string_matcher::MatchPattern},
    mutation_rules::HeaderMutationRules,
    types::HttpStatus,
};
use ir::{
    Source,
    features::{ExtAuth, ExtAuthService},
};

use super::instance_name;
use crate::{
    convert::{exact, grpc_service, pattern, regex},
    http_filters::{Chain, Instance},
};

const NAME: &str = "envoy.filters.http.ext_authz";

/// The name of the instance. It says where it was asked for and nothing of its settings: when they change, the instance
/// changes under the routes that use it, and at no moment a route names an instance that is not there, which would let
/// everybody pass.
pub(crate) fn name(auth: &ExtAuth, route: &Source) -> String {
    let name = instance_name(NAME, &auth.source);
    // Each rule of a route may have a filter of its own; a policy says the same for all routes.
    if auth.source == route.route { format!("{name}/rule/{}", route.rule) } else { name }
}

/// Off but for the routes that are judged.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let needs = chain.needs.ext_auth.iter();
    needs.map(|(name, auth)| Instance::off(name.as_str(), &filter(auth)).from(&auth.source)).collect()
}

/// What a route says to its instance: that it is on, and what the service is told with each request.
pub(super) fn per_route(auth: &ExtAuth) -> ExtAuthzPerRoute {
    let settings = CheckSettings { context_extensions: auth.context.clone(), ..Default::default() };
    ExtAuthzPerRoute { r#override: Some(Override::CheckSettings(settings)) }
}

fn filter(auth: &ExtAuth) -> ExtAuthz {
    let ExtAuth {
        source,
        service,
        request_headers,
        body_bytes,
        fail_open,
        timeout,
        recompute_route,
        status_on_error,
        include_route_metadata,
        // Said by routes.
        context: _,
    } = auth;
    let allowed = (!request_headers.is_empty()).then(|| names(request_headers));
    ExtAuthz {
        transport_api_version: core::ApiVersion::V3.into(),
        failure_mode_allow: *fail_open,
        clear_route_cache: *recompute_route,
        with_request_body: body_bytes.map(|bytes| BufferSettings { max_request_bytes: bytes, ..Default::default() }),
        status_on_error: status_on_error.map(|status| HttpStatus { code: status.into() }),
        route_metadata_context_namespaces: include_route_metadata
            .then(|| crate::metadata::NAMESPACE.to_owned())
            .into_iter()
            .collect(),
        stat_prefix: format!("{}/{}/{}", source.kind.to_lowercase(), source.namespace, source.name),
        allowed_headers: allowed,
        // What the service says goes into the request: a service must not be able to break Envoy's own rules by it.
        validate_mutations: true,
        decoder_header_mutation_rules: matches!(service, ExtAuthService::Http { response_headers: None, .. })
            .then(all_but_framing),
        services: Some(match service {
            ExtAuthService::Grpc { cluster, authority } => {
                Services::GrpcService(grpc_service(cluster, authority, Some(*timeout)))
            }
            ExtAuthService::Http { cluster, authority, path, path_override, response_headers } => {
                Services::HttpService(HttpService {
                    server_uri: Some(HttpUri {
                        uri: format!("http://{authority}"),
                        timeout: Some(envoy::duration(*timeout)),
                        http_upstream_type: Some(HttpUpstreamType::Cluster(cluster.to_string())),
                    }),
                    path_prefix: if path_override.is_some() { String::new() } else { path.clone() },
                    path_override: path_override.clone().unwrap_or_default(),
                    authorization_response: upstream_headers(response_headers.as_deref()),
                    ..Default::default()
                })
            }
        }),
        ..Default::default()
    }
}

/// The answer's headers that are put into the request.
fn upstream_headers(wanted: Option<&[String]>) -> Option<AuthorizationResponse> {
    let allowed = match wanted {
        Some([]) => return None,
        Some(wanted) => names(wanted),
        // All but `:status`, which is no header.
        None => ListStringMatcher { patterns: vec![pattern(MatchPattern::SafeRegex(regex("[^:].*")))] },
    };
    Some(AuthorizationResponse { allowed_upstream_headers: Some(allowed), ..Default::default() })
}

/// Where all of an answer's headers go into the request: those that say how the answer itself was sent would say it of
/// the request, and where one ends and the next begins. `Host` is guarded by Envoy.
fn all_but_framing() -> HeaderMutationRules {
    const FRAMING: &str = "(?i)connection|content-length|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade";
    HeaderMutationRules { disallow_expression: Some(regex(FRAMING)), ..Default::default() }
}

/// Header names; letters of either case are the same.
fn names(names: &[String]) -> ListStringMatcher {
    let patterns = names.iter().map(|name| StringMatcher { ignore_case: true, ..exact(name) });
    ListStringMatcher { patterns: patterns.collect() }
}
