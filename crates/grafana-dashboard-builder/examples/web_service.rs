//! A dashboard and an alert for a web service, printed: `cargo run --example web_service -- dashboard`, or `-- rules`.

use grafana_dashboard_builder::promql::{histogram_quantile, is, matches, per_bucket, rate, share, sum, sum_by, topk};
use grafana_dashboard_builder::rules::{Alert, Explanation, Group, Record, Rules};
use grafana_dashboard_builder::{
    Annotation, Calculation, Catalogue, Color, Dashboard, Error, Expr, Gauge, Heatmap, Link, Metric, Row, Stat, Table,
    Target, Text, TimeSeries, Transformation, Unit, Variable,
};

const REQUESTS: Metric = Metric::new("http_requests_total", &["route", "code"]);
const SECONDS: Metric = Metric::new("http_request_seconds", &["route"]);
const STARTED: Metric = Metric::new("process_start_time_seconds", &[]);
const ERROR_SHARE: Metric = Metric::new("route:http_errors:share5m", &["route"]);

pub(crate) fn dashboard() -> Dashboard {
    let chosen = || [matches("route", "$route")];
    let failed = || [matches("route", "$route"), matches("code", "5..")];
    Dashboard::new("web-service", "Web service", "What the web service does, and how well.")
        .known(Catalogue::new([REQUESTS, SECONDS, STARTED]))
        .tags(["web"])
        .variable(Variable::data_source("datasource", "prometheus").label("Data source"))
        .variable(Variable::label_values("route", REQUESTS, "route").label("Route").many())
        .link(Link::to_tag("Web", "web"))
        .annotation(Annotation::new(
            "Restarts",
            "changes(process_start_time_seconds[2m]) > 0",
            "{{instance}} restarted",
        ))
        .row(
            Row::new("Now")
                .panel(
                    Gauge::new("Failed", Unit::Ratio, "Requests that failed, of all. Above 1 % someone is woken.")
                        .query(share(sum(rate(REQUESTS.with(failed()))), sum(rate(REQUESTS.with(chosen())))), "")
                        .from(0.001, Color::Yellow)
                        .from(0.01, Color::Red)
                        .max(0.05)
                        .width(6),
                )
                .panel(
                    TimeSeries::new("Requests", Unit::RequestsPerSecond, "Answered requests, by status.")
                        .query(sum_by(["code"], rate(REQUESTS.with(chosen()))), "{{code}}")
                        .stacked()
                        .legend([Calculation::Mean, Calculation::Max]),
                ),
        )
        .row(
            Row::new("Latency")
                .panel(
                    Stat::new("99 of 100", Unit::Seconds, "99 of 100 requests are faster.")
                        .query(histogram_quantile(0.99, [], SECONDS.with(chosen())), "")
                        .width(6),
                )
                .panel(
                    Heatmap::new("Distribution", Unit::Seconds, "How many requests took how long.")
                        .target(Target::new(per_bucket([], SECONDS.with(chosen())), "{{le}}").exemplars()),
                ),
        )
        .row(
            Row::new("Routes")
                .collapsed()
                .panel(
                    Table::new("Busiest", Unit::RequestsPerSecond, "The ten routes with the most requests.")
                        .query(topk(10, sum_by(["route"], rate(REQUESTS))), "")
                        .transform(Transformation::hide(["Time"]))
                        .transform(Transformation::rename([("route", "Route"), ("Value", "Requests")]))
                        .transform(Transformation::largest_first("Requests")),
                )
                .panel(Text::new("About", "Routes are those of `web.yaml`.")),
        )
}

pub(crate) fn rules() -> Rules {
    let of = |code| REQUESTS.with([matches("code", code)]).over("5m");
    let failing = Explanation {
        summary: "{{ $labels.route }} fails",
        description: "{{ $value | humanizePercentage }} of the requests to {{ $labels.route }} fail.",
        runbook: "https://example.com/runbooks/failing",
    };
    let slow = Explanation {
        summary: "The start page is slow",
        description: "A hundredth of the requests takes more than {{ $value }} s.",
        runbook: "https://example.com/runbooks/slow",
    };
    let start_page = SECONDS.with([is("route", "/")]).over("5m");
    Rules::new().known(Catalogue::new([REQUESTS, SECONDS])).group(
        Group::new("web")
            .interval("30s")
            .record(Record::new(ERROR_SHARE, sum_by(["route"], rate(of("5.."))) / sum_by(["route"], rate(of(".*")))))
            .alert(
                Alert::new("Failing", Expr::from(ERROR_SHARE).above(0.01), failing)
                    .lasting("5m")
                    .label("severity", "page"),
            )
            .alert(Alert::new("Slow", histogram_quantile(0.99, [], start_page).above(0.5), slow).lasting("10m")),
    )
}

fn main() -> Result<(), Error> {
    match std::env::args().nth(1).as_deref() {
        Some("rules") => print!("{}", rules().to_text()?),
        _ => print!("{}", dashboard().to_text()?),
    }
    Ok(())
}
