//! One route, or a few: rate, errors, duration, and why requests did not reach a back end.

use exporter::metrics::Name;
use grafana_dashboard_builder::promql::{
    histogram_quantile, increase, is, is_not, mean_by, per_bucket, rate, share, sum, sum_by, topk,
};
use grafana_dashboard_builder::{
    BarGauge, Calculation, Color, Dashboard, Heatmap, Row, Stat, Table, Target, TimeSeries, Transformation, Unit,
};

use crate::alerts::budget;
use crate::catalogue::of;
use crate::select::{of_route, of_route_and, traffic_board, with_routes};

pub(super) fn board() -> Dashboard {
    let about = "Rate, errors and duration of routes, where their time goes, and why Envoy answered itself.";
    with_routes(traffic_board("portcullis-route", "Route", about)).row(red()).row(time()).row(reasons()).row(detail())
}

fn red() -> Row {
    let all = || sum(rate(of_route(of(Name::Requests))));
    let failed = || sum(rate(of_route_and(of(Name::Requests), [is("code_class", "5xx")])));
    let seconds = || of_route(of(Name::RequestSeconds));
    Row::new("Rate, errors, duration")
        .panel(
            TimeSeries::new(
                "Requests by status",
                Unit::RequestsPerSecond,
                "Requests by status. 0: the client got none.",
            )
            .query(sum_by(["code"], rate(of_route(of(Name::Requests)))), "{{code}}")
            .stacked(),
        )
        .panel(
            TimeSeries::new("Failed", Unit::Ratio, "Answers 5xx, of all.")
                .query(share(failed(), all()), "failed")
                .from(0.001, Color::Yellow)
                .from(0.01, Color::Red)
                .threshold_lines()
                .min(0.0),
        )
        .panel(
            TimeSeries::new(
                "Duration",
                Unit::Seconds,
                "From the first byte of a request to the last of its answer. Dots are traces.",
            )
            .target(Target::new(histogram_quantile(0.5, [], seconds()), "half within").exemplars())
            .query(histogram_quantile(0.9, [], seconds()), "90 of 100 within")
            .query(histogram_quantile(0.99, [], seconds()), "99 of 100 within"),
        )
        .panel(
            Stat::new(
                "Error budget left",
                Unit::Ratio,
                "Of 30 days, for the objective in docs/dashboards.md. Below nothing it is missed.",
            )
            .query(of_route(budget::LEFT), "{{route_namespace}}/{{route}}")
            .base(Color::Red)
            .from(0.0, Color::Orange)
            .from(0.25, Color::Green)
            .plain()
            .width(5),
        )
}

fn time() -> Row {
    Row::new("Where the time goes")
        .panel(
            Heatmap::new("Durations", Unit::Seconds, "How many requests took how long.")
                .target(Target::new(per_bucket([], of_route(of(Name::RequestSeconds))), "{{le}}").exemplars()),
        )
        .panel(
            TimeSeries::new(
                "Mean time by part",
                Unit::Seconds,
                "Until the first byte went to the back end (filters: logins, limits, the firewall; and connecting), \
                 and at the back end.",
            )
            .query(mean_by(["route"], of_route(of(Name::FilterSeconds))), "{{route}}: filters")
            .query(mean_by(["route"], of_route(of(Name::UpstreamSeconds))), "{{route}}: back end")
            .stacked(),
        )
        .panel(
            TimeSeries::new(
                "Back end's time",
                Unit::Seconds,
                "99 of 100 requests were answered by the back end in \
             less time.",
            )
            .query(
                histogram_quantile(0.99, ["route", "rule"], of_route(of(Name::UpstreamSeconds))),
                "{{route}} rule {{rule}}",
            ),
        )
}

fn reasons() -> Row {
    let local = || of_route(of(Name::LocalReplies));
    Row::new("Answered by Envoy itself")
        .panel(
            TimeSeries::new(
                "By reason",
                Unit::RequestsPerSecond,
                "Requests that no back end answered: limited, blocked, sent to log in and others.",
            )
            .query(sum_by(["reason"], rate(local())), "{{reason}}")
            .stacked()
            .legend([Calculation::Last, Calculation::Max]),
        )
        .panel(
            BarGauge::new("Top reasons", Unit::Number, "How many requests, in the time that is shown.")
                .query(topk(10, sum_by(["reason", "code"], increase(local().over("$__range")))), "{{code}} {{reason}}"),
        )
        .panel(
            TimeSeries::new(
                "Response flags",
                Unit::RequestsPerSecond,
                "What Envoy noted: UF connect failure, UT timeout, DC client gone, and others.",
            )
            .query(sum_by(["flags"], rate(of_route_and(of(Name::Requests), [is_not("flags", "")]))), "{{flags}}")
            .nothing("none"),
        )
}

fn detail() -> Row {
    let by = |label: &'static str| sum_by([label], rate(of_route(of(Name::Requests))));
    let size = |name| histogram_quantile(0.9, [], of_route(of(name)));
    Row::new("Detail")
        .panel(
            TimeSeries::new(
                "By back end",
                Unit::RequestsPerSecond,
                "Where requests went. Without a back end, Envoy answered itself.",
            )
            .query(by("backend"), "{{backend}}"),
        )
        .panel(
            TimeSeries::new("By method", Unit::RequestsPerSecond, "Requests by method.")
                .query(by("method"), "{{method}}"),
        )
        .panel(
            TimeSeries::new("By protocol", Unit::RequestsPerSecond, "How clients speak to Envoy.")
                .query(by("protocol"), "{{protocol}}"),
        )
        .panel(
            TimeSeries::new("Sizes", Unit::Bytes, "Nine of ten bodies are smaller.")
                .query(size(Name::RequestBytes), "requests")
                .query(size(Name::ResponseBytes), "responses"),
        )
        .panel(
            Table::new("Rules", Unit::RequestsPerSecond, "Requests of each rule, by listener.")
                .query(
                    sum_by(
                        ["gateway", "listener", "route_kind", "route_namespace", "route", "rule"],
                        rate(of_route(of(Name::Requests))),
                    ),
                    "",
                )
                .transform(Transformation::hide(["Time"]))
                .transform(Transformation::rename([("Value", "Requests")]))
                .transform(Transformation::largest_first("Requests")),
        )
}
