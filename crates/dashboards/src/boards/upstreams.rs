//! Back ends as Envoys see them: health, errors, retries, ejections, limits.

use grafana_dashboard_builder::promql::{
    Matcher, Selector, bottomk, count, histogram_quantile, increase, is, matches, max_by, min_by, rate, sum_by, topk,
};
use grafana_dashboard_builder::{
    Color, Dashboard, Metric, Row, Stat, Table, TimeSeries, Transformation, Unit, Variable,
};

use crate::envoy;
use crate::select::{envoy_board, of_gateway, of_gateway_and};

const BY: [&str; 1] = ["envoy_cluster_name"];
const NAME: &str = "{{envoy_cluster_name}}";

pub(super) fn board() -> Dashboard {
    let about = "Back ends as Envoys see them. A cluster is a Service's port: service/namespace/name/port.";
    let clusters = Variable::label_values("upstream", of_gateway(envoy::MEMBERS), "envoy_cluster_name");
    envoy_board("portcullis-upstreams", "Upstreams", about)
        .variable(clusters.label("Back end").many())
        .row(health())
        .row(unhealthy())
        .row(requests())
        .row(retries())
        .row(limits())
}

fn chosen(metric: Metric) -> Selector {
    chosen_and(metric, [])
}

fn chosen_and<const N: usize>(metric: Metric, and: [Matcher; N]) -> Selector {
    and.into_iter().fold(of_gateway_and(metric, [matches("envoy_cluster_name", "$upstream")]), Selector::and)
}

fn health() -> Row {
    let healthy = || min_by(BY, chosen(envoy::MEMBERS_HEALTHY));
    let all = || max_by(BY, chosen(envoy::MEMBERS));
    Row::new("Health")
        .panel(
            Stat::new(
                "Without end points",
                Unit::Full,
                "Back ends for which some Envoy has no healthy end point: their requests answer 503.",
            )
            .query(count(healthy().equals(0.0)).or_zero(), "")
            .from(1.0, Color::Red)
            .plain()
            .width(4),
        )
        .panel(
            Table::new(
                "End points",
                Unit::Full,
                "Healthy end points and all of them, as the Envoy sees it that sees the fewest.",
            )
            .query(healthy(), "")
            .query(all(), "")
            .query(max_by(BY, chosen(envoy::EJECTED)), "")
            .transform(Transformation::Merge)
            .transform(Transformation::hide(["Time"]))
            .transform(Transformation::rename([
                ("envoy_cluster_name", "Back end"),
                ("Value #A", "Healthy"),
                ("Value #B", "All"),
                ("Value #C", "Ejected"),
            ]))
            .width(10),
        )
        .panel(
            TimeSeries::new(
                "Healthy share",
                Unit::Ratio,
                "The ten back ends with the smallest share of healthy end points.",
            )
            .query(bottomk(10, healthy() / all()), NAME)
            .max(1.0),
        )
}

fn unhealthy() -> Row {
    Row::new("Unhealthy end points")
        .panel(
            TimeSeries::new("Failed health checks", Unit::CountsPerSecond, "Active health checks that failed.")
                .query(sum_by(BY, rate(chosen(envoy::HEALTH_CHECKS_FAILED))), NAME)
                .nothing("no health checks"),
        )
        .panel(
            TimeSeries::new(
                "Ejections",
                Unit::Number,
                "End points that were put out because they fail (outlier detection).",
            )
            .query(sum_by(BY, increase(chosen(envoy::EJECTIONS))), NAME)
            .nothing("no outlier detection"),
        )
        .panel(
            TimeSeries::new(
                "Panic",
                Unit::RequestsPerSecond,
                "Requests that went to unhealthy end points, for too few were healthy.",
            )
            .query(sum_by(BY, rate(chosen(envoy::PANIC))), NAME),
        )
}

fn requests() -> Row {
    Row::new("Requests")
        .panel(
            TimeSeries::new(
                "Answers",
                Unit::RequestsPerSecond,
                "Answers of back ends by class of status, tries counted each.",
            )
            .query(
                sum_by(["envoy_response_code_class"], rate(chosen(envoy::UPSTREAM_RESPONSES))),
                "{{envoy_response_code_class}}xx",
            )
            .stacked(),
        )
        .panel(
            TimeSeries::new(
                "Failed",
                Unit::RequestsPerSecond,
                "The ten back ends with the most answers 5xx, those that Envoy made for them included.",
            )
            .query(
                topk(
                    10,
                    sum_by(BY, rate(chosen_and(envoy::UPSTREAM_RESPONSES, [is("envoy_response_code_class", "5")]))),
                ),
                NAME,
            )
            .nothing("none fails"),
        )
        .panel(
            TimeSeries::new(
                "Time",
                Unit::Milliseconds,
                "99 of 100 tries were answered in less time. The ten slowest back ends.",
            )
            .query(topk(10, histogram_quantile(0.99, BY, chosen(envoy::UPSTREAM_MILLISECONDS))), NAME),
        )
        .panel(
            TimeSeries::new("Being answered", Unit::Number, "Requests in flight. The ten back ends with the most.")
                .query(topk(10, sum_by(BY, chosen(envoy::UPSTREAM_ACTIVE))), NAME),
        )
}

fn retries() -> Row {
    let of = |metric| sum_by(BY, rate(chosen(metric)));
    Row::new("Retries and time-outs")
        .panel(
            TimeSeries::new(
                "Retries",
                Unit::RequestsPerSecond,
                "Requests that were tried \
         again.",
            )
            .query(of(envoy::RETRIES), NAME),
        )
        .panel(
            TimeSeries::new("Successful retries", Unit::RequestsPerSecond, "Requests that a retry saved.")
                .query(of(envoy::RETRIES_SUCCESSFUL), NAME),
        )
        .panel(
            TimeSeries::new(
                "Retries refused",
                Unit::RequestsPerSecond,
                "Requests that were not tried again, for too \
             many others were. Retries alone would keep a back end down.",
            )
            .query(of(envoy::RETRIES_REFUSED), NAME),
        )
        .panel(
            TimeSeries::new("Time-outs", Unit::RequestsPerSecond, "Requests that took too long.")
                .query(of(envoy::UPSTREAM_TIMEOUTS), NAME),
        )
}

fn limits() -> Row {
    Row::new("Connections and limits")
        .panel(
            TimeSeries::new("Connections", Unit::Number, "Open connections to back ends. The ten with the most.")
                .query(topk(10, sum_by(BY, chosen(envoy::UPSTREAM_CONNECTIONS))), NAME),
        )
        .panel(
            TimeSeries::new(
                "Connections that failed",
                Unit::CountsPerSecond,
                "Connections that could not be made: refused, or too slow.",
            )
            .query(sum_by(BY, rate(chosen(envoy::CONNECT_FAILURES))), NAME),
        )
        .panel(
            TimeSeries::new(
                "Circuit breakers",
                Unit::OnOff,
                "Back ends whose limit of connections or requests is reached.",
            )
            .query(max_by(BY, chosen(envoy::BREAKER_CONNECTIONS)), format!("{NAME} connections"))
            .query(max_by(BY, chosen(envoy::BREAKER_REQUESTS)), format!("{NAME} requests")),
        )
        .panel(
            TimeSeries::new(
                "Refused by limits",
                Unit::RequestsPerSecond,
                "Requests that were refused with 503, for too many waited.",
            )
            .query(sum_by(BY, rate(chosen(envoy::PENDING_REFUSED))), NAME),
        )
}
