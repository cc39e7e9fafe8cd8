//! `envoy.filters.http.router`: the end of the chain, which sends requests.

use envoy::ext::http::router::Router;

use crate::{
    access_log,
    http_filters::{Chain, Instance},
};

/// Always the last.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let router = Router {
        // `x-envoy-*` headers tell clients and back ends about the inside, and are of use only among Envoys.
        suppress_envoy_headers: true,
        upstream_log: access_log::of_tries(chain.scope),
        ..Default::default()
    };
    vec![Instance::on("envoy.filters.http.router", &router)]
}
