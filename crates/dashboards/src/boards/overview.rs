//! Is everything well? The golden signals of all gateways, and what is left of each route's error budget.

use exporter::metrics::Name;
use grafana_dashboard_builder::promql::{
    count, histogram_quantile, is, matches, min, min_by, rate, share, sum, sum_by, topk,
};
use grafana_dashboard_builder::{
    Annotation, Calculation, Color, Dashboard, Expr, Gauge, Row, Stat, Table, TimeSeries, Transformation, Unit,
};

use crate::alerts::budget;
use crate::catalogue::{ALERTS, of};
use crate::select::{cluster, of_gateway, of_gateway_and, traffic_board};

/// A link from a row of a table to its route.
const TO_ROUTE: &str = "/d/portcullis-route?${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}\
    &var-namespace=${__data.fields.route_namespace}&var-route=${__data.fields.route}";

pub(super) fn board() -> Dashboard {
    let about = "Rate, errors, latency and error budgets of all routes. From here to the dashboard of what is wrong.";
    traffic_board("portcullis-overview", "Overview", about)
        .annotation(
            Annotation::new(
                "Alerts",
                sum_by(["alertname"], ALERTS.with([is("alertstate", "firing")])),
                "{{alertname}}",
            )
            .color(Color::Red),
        )
        .row(now())
        .row(traffic())
        .row(routes())
}

fn requests() -> Expr {
    sum(rate(of_gateway(of(Name::Requests))))
}

fn failed() -> Expr {
    sum(rate(of_gateway_and(of(Name::Requests), [is("code_class", "5xx")])))
}

fn now() -> Row {
    Row::new("Now")
        .height(5)
        .panel(Stat::new("Requests", Unit::RequestsPerSecond, "Requests of all chosen gateways.").query(requests(), ""))
        .panel(
            Stat::new("Failed", Unit::Ratio, "Answers 5xx, of all: by back ends and by Envoy itself.")
                .query(share(failed(), requests()), "")
                .from(0.001, Color::Yellow)
                .from(0.01, Color::Red)
                .decimals(2),
        )
        .panel(
            Stat::new(
                "99 of 100 within",
                Unit::Seconds,
                "99 of 100 requests are answered in less time, from first to \
             last byte.",
            )
            .query(histogram_quantile(0.99, [], of_gateway(of(Name::RequestSeconds))), "")
            .from(1.0, Color::Yellow)
            .from(5.0, Color::Red),
        )
        .panel(
            Gauge::new(
                "Least error budget",
                Unit::Ratio,
                "What is left of the error budget of 30 days, of the route that has used most of it. Below nothing \
                 the objective is missed.",
            )
            .query(min(of_gateway(budget::LEFT)), "")
            .base(Color::Red)
            .from(0.0, Color::Orange)
            .from(0.25, Color::Yellow)
            .from(0.5, Color::Green)
            .min(0.0)
            .max(1.0),
        )
        .panel(
            Stat::new("Alerts", Unit::Full, "Alerts that fire, of all that this Prometheus evaluates.")
                .query(count(ALERTS.with([is("alertstate", "firing")])).or_zero(), "")
                .from(1.0, Color::Red)
                .plain(),
        )
        .panel(
            Table::new("Firing", Unit::Full, "Which alerts fire. Each has a runbook: docs/runbooks/.")
                .query(sum_by(["alertname", "severity"], ALERTS.with([is("alertstate", "firing")])), "")
                .transform(Transformation::hide(["Time", "Value"]))
                .nothing("none")
                .width(18),
        )
}

fn traffic() -> Row {
    let quantile = |quantile| histogram_quantile(quantile, [], of_gateway(of(Name::RequestSeconds)));
    Row::new("Traffic")
        .panel(
            TimeSeries::new(
                "Requests by status",
                Unit::RequestsPerSecond,
                "Requests by class of status. `none`: the client was gone.",
            )
            .query(sum_by(["code_class"], rate(of_gateway(of(Name::Requests)))), "{{code_class}}")
            .stacked()
            .color_of("2xx", Color::Green)
            .color_of("3xx", Color::Blue)
            .color_of("4xx", Color::Orange)
            .color_of("5xx", Color::Red),
        )
        .panel(
            TimeSeries::new(
                "Latency",
                Unit::Seconds,
                "Time from the first byte of a request to the last of its answer.",
            )
            .query(quantile(0.5), "half within")
            .query(quantile(0.9), "90 of 100 within")
            .query(quantile(0.99), "99 of 100 within"),
        )
        .panel(
            TimeSeries::new(
                "Answered by Envoy itself",
                Unit::RequestsPerSecond,
                "Requests that no back end answered, by reason: limits, logins, the firewall, no healthy end point.",
            )
            .query(sum_by(["reason"], rate(of_gateway(of(Name::LocalReplies)))), "{{reason}}")
            .stacked()
            .legend([Calculation::Last, Calculation::Max]),
        )
        .panel(
            TimeSeries::new("Requests by gateway", Unit::RequestsPerSecond, "Requests of each gateway.")
                .query(sum_by(["gateway"], rate(of_gateway(of(Name::Requests)))), "{{gateway}}"),
        )
        .panel(
            TimeSeries::new("Bytes", Unit::BytesPerSecond, "Bytes from and to clients, headers included.")
                .query(sum(rate(of_gateway(of(Name::ReceivedBytes)))), "from clients")
                .query(sum(rate(of_gateway(of(Name::SentBytes)))), "to clients"),
        )
        .panel(
            TimeSeries::new(
                "Requests being answered",
                Unit::Number,
                "Requests in flight, as Envoys say. It grows when back ends are slow.",
            )
            .query(sum_by(["envoy"], of(Name::ActiveRequests).with([cluster()])), "{{envoy}}"),
        )
}

fn routes() -> Row {
    let by = ["route_namespace", "route"];
    let routed = || matches("route_namespace", ".+");
    let of_all = || sum_by(by, rate(of_gateway_and(of(Name::Requests), [routed()])));
    let of_failed = || sum_by(by, rate(of_gateway_and(of(Name::Requests), [routed(), is("code_class", "5xx")])));
    let seconds = of_gateway_and(of(Name::RequestSeconds), [routed()]);
    Row::new("Routes")
        .height(10)
        .panel(
            Table::new(
                "All routes",
                Unit::RequestsPerSecond,
                "Every route that had requests. A click opens its dashboard.",
            )
            .query(of_all(), "")
            .query(of_failed() / of_all(), "")
            .query(histogram_quantile(0.99, by, seconds), "")
            .query(min_by(by, of_gateway(budget::LEFT)), "")
            .transform(Transformation::Merge)
            .transform(Transformation::hide(["Time"]))
            .transform(Transformation::rename([
                ("Value #A", "Requests"),
                ("Value #B", "Failed"),
                ("Value #C", "99 of 100 within"),
                ("Value #D", "Error budget left"),
            ]))
            .transform(Transformation::largest_first("Requests"))
            .unit_of("Failed", Unit::Ratio)
            .unit_of("99 of 100 within", Unit::Seconds)
            .unit_of("Error budget left", Unit::Ratio)
            .value_link("Open the route", TO_ROUTE)
            .width(16),
        )
        .panel(
            TimeSeries::new(
                "Routes that fail most",
                Unit::Ratio,
                "The five routes with the largest share of answers 5xx.",
            )
            .query(topk(5, (of_failed() / of_all()).above(0.0)), "{{route_namespace}}/{{route}}")
            .nothing("none fails"),
        )
}
