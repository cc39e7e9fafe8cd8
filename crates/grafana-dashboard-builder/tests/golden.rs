//! What the example makes, and what is said of what is wrong.

use grafana_dashboard_builder::promql::{is, rate, sum_by};
use grafana_dashboard_builder::rules::{Alert, Explanation, Group, Rules};
use grafana_dashboard_builder::{
    Annotation, BarGauge, Catalogue, Color, Dashboard, DataSource, Logs, Metric, Row, Stat, Target, TimeSeries, Unit,
    Variable,
};

#[expect(dead_code, reason = "its main is for people")]
#[path = "../examples/web_service.rs"]
mod web_service;

const REQUESTS: Metric = Metric::new("http_requests_total", &["route"]);

#[test]
fn the_example_is_what_it_was() {
    insta::assert_snapshot!("dashboard", web_service::dashboard().to_text().unwrap());
    insta::assert_snapshot!("rules", web_service::rules().to_text().unwrap());
}

#[test]
fn every_kind_of_variable_and_the_rarer_panels() {
    let dashboard = Dashboard::new("rare", "Rare", "What the example has not.")
        .data_source(DataSource::prometheus("main"))
        .from("now-6h")
        .refresh("1m")
        .variable(Variable::data_source("logs", "loki").hidden())
        .variable(Variable::custom("quantile", ["0.5", "0.99"]).label("Quantile"))
        .variable(Variable::interval("window", ["5m", "1h"]))
        .variable(Variable::text_box("path", "/"))
        .row(
            Row::new("All for $path")
                .height(4)
                .panel(
                    BarGauge::new("Bars", Unit::OnOff, "One a route.")
                        .query(sum_by(["route"], rate(REQUESTS.over("$window"))), "{{route}}")
                        .text(1.0, "on", Color::Red)
                        .nothing("no route")
                        .value_link("Open", "/d/route?var-route=${__field.labels.route}"),
                )
                .panel(
                    TimeSeries::new("Lines", Unit::Seconds, "On a logarithmic scale.")
                        .query("histogram_quantile($quantile, sum by (le) (rate(a_bucket[$window])))", "")
                        .logarithmic()
                        .threshold_lines()
                        .from(1.0, Color::Red)
                        .min(0.001)
                        .decimals(2)
                        .unit_of("a", Unit::Bytes)
                        .color_of("b", Color::Purple)
                        .link("All", "/d/all?${__url_time_range}"),
                )
                .panel(
                    Logs::new("Log", "What it says.")
                        .target(Target::of(DataSource::new("loki", "${logs}"), r#"{app="web"} |= "$path""#)),
                ),
        );
    insta::assert_snapshot!(dashboard.to_text().unwrap());
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_where() {
    let dashboard = Dashboard::new("not a uid", "Wrong", "")
        .known(Catalogue::new([REQUESTS]))
        .variable(Variable::label_values("route", REQUESTS, "code"))
        .variable(Variable::text_box("route", ""))
        .annotation(Annotation::new("Mark", "up >", ""))
        .row(
            Row::new("First")
                .panel(Stat::new("Panel", Unit::Number, " ").query("sum(", "").query("rate(http_requests_total)", ""))
                .panel(Stat::new("Panel", Unit::Number, "No query.").width(25)),
        )
        .row(
            Row::new("Second").height(0).panel(
                Stat::new("Other $title", Unit::Number, "Strange names.")
                    .query(rate(REQUESTS.with([is("path", "$path")])), "")
                    .query("http_request_total", "")
                    .query(sum_by(["code"], rate(REQUESTS)), "")
                    .from(2.0, Color::Red)
                    .from(1.0, Color::Yellow),
            ),
        );
    insta::assert_snapshot!(dashboard.build().unwrap_err());

    let nothing = Explanation { summary: "x", description: "", runbook: "x" };
    let alert = |name: &str, query: &str| Alert::new(name, query, nothing).lasting("5 minutes");
    let group = || Group::new("web").alert(alert("One", "rate(up[$__rate_interval]) > 0")).alert(alert("Two", "up =="));
    insta::assert_snapshot!(Rules::new().group(group()).group(group()).to_text().unwrap_err());
}

#[test]
fn the_same_dashboard_gives_the_same_bytes() {
    assert_eq!(web_service::dashboard().to_text().unwrap(), web_service::dashboard().to_text().unwrap());
}
