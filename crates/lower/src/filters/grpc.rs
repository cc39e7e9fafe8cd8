//! `envoy.filters.http.grpc_web` and `grpc_stats`: browsers may call gRPC services, and calls are counted.

use envoy::ext::http::{
    grpc_stats::{FilterConfig, filter_config::PerMethodStatSpecifier},
    grpc_web::GrpcWeb,
};

use crate::http_filters::{Chain, Instance};

/// On where there are GRPCRoutes. It leaves alone what has no content type of gRPC-Web.
pub(crate) fn web_instances(chain: &Chain<'_>) -> Vec<Instance> {
    chain.needs.grpc.then(|| Instance::on("envoy.filters.http.grpc_web", &GrpcWeb {})).into_iter().collect()
}

/// On where there are GRPCRoutes, unless the settings say otherwise. Counts by service and method.
pub(crate) fn stats_instances(chain: &Chain<'_>) -> Vec<Instance> {
    let wanted = chain.scope.metrics().and_then(|metrics| metrics.enable_grpc_stats);
    let stats = FilterConfig {
        emit_filter_state: true,
        // Methods are named by clients: counting all of them would let a client fill the memory.
        per_method_stat_specifier: Some(PerMethodStatSpecifier::StatsForAllMethods(false)),
        ..Default::default()
    };
    wanted
        .unwrap_or(chain.needs.grpc)
        .then(|| Instance::on("envoy.filters.http.grpc_stats", &stats))
        .into_iter()
        .collect()
}
