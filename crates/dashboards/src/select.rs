//! Which series a dashboard shows: what was chosen at its top, as matchers and variables.

use grafana_dashboard_builder::promql::{Expr, Matcher, Selector, is, matches};
use grafana_dashboard_builder::{Catalogue, Dashboard, Link, Metric, Variable};
use kit::metrics::Shared;

use crate::catalogue::{all, of};

/// The tag of all dashboards, by which they link to each other.
const TAG: &str = "portcullis";

/// A dashboard with what all have.
fn board(uid: &str, title: &str, description: &str) -> Dashboard {
    let catalogue: Catalogue = all();
    Dashboard::new(uid, format!("Portcullis / {title}"), description)
        .known(catalogue)
        .tags([TAG])
        .link(Link::to_tag("Portcullis", TAG))
        .variable(Variable::data_source("datasource", "prometheus").label("Data source"))
        .variable(Variable::label_values("cluster", of(Shared::BuildInfo), "cluster").label("Cluster").many())
}

/// A dashboard of what passes through gateways, by the exporter.
pub(crate) fn traffic_board(uid: &str, title: &str, description: &str) -> Dashboard {
    let gateways = of(exporter::metrics::Name::Requests).with([cluster()]);
    board(uid, title, description)
        .variable(Variable::label_values("gateway", gateways, "gateway").label("Gateway").many())
}

/// A dashboard of Envoys, by themselves.
pub(crate) fn envoy_board(uid: &str, title: &str, description: &str) -> Dashboard {
    let gateways = crate::envoy::LIVE.with([cluster()]);
    board(uid, title, description)
        .variable(Variable::label_values("gateway", gateways, "gateway").label("Gateway").many())
}

/// A dashboard of one of the services.
pub(crate) fn service_board(uid: &str, title: &str, service: &str, description: &str) -> Dashboard {
    let services = of(Shared::BuildInfo).with([cluster(), is("service", service)]);
    board(uid, title, description)
        .variable(Variable::label_values("namespace", services, "namespace").label("Namespace").many())
}

/// The variables that choose routes.
pub(crate) fn with_routes(board: Dashboard) -> Dashboard {
    let requests = || of(exporter::metrics::Name::Requests).with([cluster(), gateway()]);
    let namespaces = Variable::label_values("namespace", requests(), "route_namespace");
    let routes = Variable::label_values("route", requests().and(matches("route_namespace", "$namespace")), "route");
    board.variable(namespaces.label("Namespace").many()).variable(routes.label("Route").many())
}

/// Series of the chosen gateways.
pub(crate) fn of_gateway(metric: Metric) -> Selector {
    of_gateway_and(metric, [])
}

/// Series of the chosen gateways that match more.
pub(crate) fn of_gateway_and<const N: usize>(metric: Metric, and: [Matcher; N]) -> Selector {
    metric.with([cluster(), gateway()].into_iter().chain(and))
}

/// Series of the chosen routes.
pub(crate) fn of_route(metric: Metric) -> Selector {
    of_route_and(metric, [])
}

/// Series of the chosen routes that match more.
pub(crate) fn of_route_and<const N: usize>(metric: Metric, and: [Matcher; N]) -> Selector {
    let routes = [cluster(), gateway(), matches("route_namespace", "$namespace"), matches("route", "$route")];
    metric.with(routes.into_iter().chain(and))
}

/// Series of a service in the chosen namespaces.
pub(crate) fn of_service(metric: Metric) -> Selector {
    of_service_and(metric, [])
}

/// Series of a service in the chosen namespaces that match more.
pub(crate) fn of_service_and<const N: usize>(metric: Metric, and: [Matcher; N]) -> Selector {
    metric.with([cluster(), matches("namespace", "$namespace")].into_iter().chain(and))
}

/// What all services have, of this one.
pub(crate) fn only(service: &str, series: impl Into<Expr>) -> Expr {
    let this = of_service_and(of(Shared::BuildInfo), [is("service", service)]);
    series.into().and_on(["instance"], this)
}

pub(crate) fn cluster() -> Matcher {
    matches("cluster", "$cluster")
}

fn gateway() -> Matcher {
    matches("gateway", "$gateway")
}
