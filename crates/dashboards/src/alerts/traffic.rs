//! What clients notice.

use exporter::metrics::Name;
use grafana_dashboard_builder::promql::{Matcher, histogram_quantile, is, matches, rate, sum_by};
use grafana_dashboard_builder::rules::Group;
use grafana_dashboard_builder::{Expr, Metric};

use super::{Urgency, alert};
use crate::catalogue::of;

const PAGE: &str = "traffic";
const ROUTE: [&str; 4] = ["cluster", "gateway", "route_namespace", "route"];
const REASON: [&str; 5] = ["cluster", "gateway", "route_namespace", "route", "reason"];

/// 99 of 100 requests have to be answered within so many seconds.
const SLOW: f64 = 1.0;
/// Routes with fewer requests a second have no meaningful quantiles and shares.
const FEWEST: f64 = 0.1;

pub(super) fn groups() -> Vec<Group> {
    let with =
        |name, matchers: Vec<Matcher>| of(name).with(matchers.into_iter().chain([matches("route_namespace", ".+")]));
    let requests = || sum_by(ROUTE, rate(with(Name::Requests, vec![]).over("5m")));
    let slow = histogram_quantile(0.99, ROUTE, with(Name::RequestSeconds, vec![]).over("5m"));
    let no_end_point = rate(with(Name::LocalReplies, vec![is("reason", "no_healthy_upstream")]).over("2m"));
    let by_envoy = sum_by(REASON, rate(with(Name::LocalReplies, vec![matches("code", "5..")]).over("5m")));
    let group = Group::new("portcullis-traffic")
        .alert(
            alert(
                PAGE,
                "PortcullisSlow",
                Urgency::Ticket,
                slow.above(SLOW).and(requests().above(FEWEST)),
                (
                    "{{ $labels.route_namespace }}/{{ $labels.route }} is slow",
                    "One of 100 requests takes more than {{ $value | humanizeDuration }}.",
                ),
            )
            .lasting("10m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisNoHealthyEndpoint",
                Urgency::Page,
                sum_by(ROUTE, no_end_point).above(0.0),
                (
                    "{{ $labels.route_namespace }}/{{ $labels.route }} has no healthy end point",
                    "{{ $value | humanize }} requests a second answer 503 for want of one.",
                ),
            )
            .lasting("2m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisRefusesRequests",
                Urgency::Page,
                by_envoy.per(ROUTE, requests().above(FEWEST)).above(0.05),
                (
                    "{{ $labels.route_namespace }}/{{ $labels.route }} answers 5xx itself: {{ $labels.reason }}",
                    "{{ $value | humanizePercentage }} of the requests do not reach a back end.",
                ),
            )
            .lasting("5m"),
        );
    vec![group, of_envoy()]
}

fn of_envoy() -> Group {
    let healthy: Metric = crate::envoy::MEMBERS_HEALTHY;
    let none = sum_by(["cluster", "gateway", "envoy_cluster_name"], Expr::from(healthy)).equals(0.0);
    Group::new("portcullis-end-points").alert(
        alert(
            PAGE,
            "PortcullisBackendWithoutEndpoints",
            Urgency::Ticket,
            none,
            (
                "{{ $labels.envoy_cluster_name }} has no healthy end point",
                "No Envoy of {{ $labels.gateway }} has one. Requests to it answer 503.",
            ),
        )
        .lasting("10m"),
    )
}
