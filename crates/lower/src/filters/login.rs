//! `envoy.filters.http.ext_authz`, an instance of its own: the single sign-on service has people log in. One instance for all
//! policies, as they have one service; each route says its profile.

use std::time::Duration;

use envoy::{
    core,
    ext::http::ext_authz::{
        CheckSettings, ExtAuthz, ExtAuthzPerRoute, ext_authz::Services, ext_authz_per_route::Override,
    },
    types::HttpStatus,
};
use ir::features::Login;

use crate::{
    convert::grpc_service,
    http_filters::{Chain, Instance},
};

/// The name of the instance.
pub(crate) const NAME: &str = "envoy.filters.http.ext_authz/single-sign-on";

/// What the service calls the context extension that names a profile.
const PROFILE: &str = "profile";

/// How long the service may take: who comes back from the provider waits for the provider's answer to it, twice at most.
const TIMEOUT: Duration = Duration::from_secs(25);

/// What a client is told while the service does not answer: to come again, and not that it may never pass.
const UNAVAILABLE: i32 = 503;

/// Off but for the routes that need a login.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let Some(cluster) = &chain.needs.login else { return Vec::new() };
    let filter = ExtAuthz {
        transport_api_version: core::ApiVersion::V3.into(),
        stat_prefix: "single-sign-on".to_owned(),
        status_on_error: Some(HttpStatus { code: UNAVAILABLE }),
        validate_mutations: true,
        // One by one: joined by commas nobody could tell several headers of cookies from one with commas in it.
        encode_raw_headers: true,
        services: Some(Services::GrpcService(grpc_service(cluster, "", Some(TIMEOUT)))),
        ..Default::default()
    };
    vec![Instance::off(NAME, &filter)]
}

/// What a route says: its profile.
pub(super) fn per_route(login: &Login) -> ExtAuthzPerRoute {
    let context_extensions = [(PROFILE.to_owned(), login.profile.clone())].into();
    let settings = CheckSettings { context_extensions, ..Default::default() };
    ExtAuthzPerRoute { r#override: Some(Override::CheckSettings(settings)) }
}
