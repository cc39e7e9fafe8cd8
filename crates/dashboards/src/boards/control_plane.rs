//! The controller: how long a change takes to be in force, what Envoys refuse, and what is written back.

use controller::metrics::Name;
use grafana_dashboard_builder::promql::{
    Selector, histogram_quantile, increase, is, mean, per_bucket, rate, sum, sum_by,
};
use grafana_dashboard_builder::{Color, Dashboard, Heatmap, Metric, Row, Stat, TimeSeries, Unit};

use crate::catalogue::of;
use crate::select::{of_service, of_service_and, service_board};

pub(super) fn board() -> Dashboard {
    let about =
        "From a change of a resource to its acknowledgement by every Envoy, what is refused on the way, and statuses.";
    service_board("portcullis-control-plane", "Control plane", "portcullis", about)
        .row(now())
        .row(changes())
        .row(envoys())
        .row(kubernetes())
        .row(super::process::row_without_configuration("portcullis"))
}

fn chosen(name: Name) -> Selector {
    of_service(metric(name))
}

fn metric(name: Name) -> Metric {
    of(name)
}

fn now() -> Row {
    Row::new("Now")
        .height(5)
        .panel(
            Stat::new("Envoys", Unit::Full, "Envoys that are connected.").query(sum(chosen(Name::Envoys)), "").plain(),
        )
        .panel(
            Stat::new(
                "Refused by Envoy",
                Unit::Full,
                "Resources that an Envoy refused, in the time that is shown. The status of the resource says why.",
            )
            .query(
                sum(increase(of_service_and(metric(Name::Responses), [is("outcome", "nack")]).over("$__range")))
                    .or_zero(),
                "",
            )
            .from(0.5, Color::Red)
            .decimals(0)
            .plain(),
        )
        .panel(
            Stat::new(
                "Not accepted",
                Unit::Full,
                "Resources with a condition that is not well. Their statuses say which and why.",
            )
            .query(sum(chosen(Name::NotAccepted)).or_zero(), "")
            .from(1.0, Color::Orange)
            .plain(),
        )
        .panel(
            Stat::new("Leader", Unit::Full, "Which controller writes statuses and objects. All of them serve Envoys.")
                .query(chosen(Name::Leader), "{{instance}}")
                .text(1.0, "leads", Color::Green)
                .text(0.0, "waits", Color::Plain)
                .plain()
                .nothing("no cluster"),
        )
}

fn changes() -> Row {
    let quantile = |name, quantile| histogram_quantile(quantile, [], chosen(name));
    Row::new("Changes")
        .panel(
            TimeSeries::new(
                "Until acknowledged",
                Unit::Seconds,
                "From the start of translating a change until all Envoys have acknowledged it.",
            )
            .query(quantile(Name::AcknowledgedSeconds, 0.5), "half within")
            .query(quantile(Name::AcknowledgedSeconds, 0.99), "99 of 100 within"),
        )
        .panel(
            Heatmap::new("Acknowledgements", Unit::Seconds, "How many changes took how long.")
                .query(per_bucket([], chosen(Name::AcknowledgedSeconds)), "{{le}}"),
        )
        .panel(
            TimeSeries::new(
                "Time by step",
                Unit::Seconds,
                "The mean time of a change: Gateway API to gateways, gateways to Envoy's resources, snapshots.",
            )
            .query(mean(chosen(Name::TranslateSeconds)), "translate")
            .query(mean(chosen(Name::LowerSeconds)), "lower")
            .query(mean(chosen(Name::SnapshotSeconds)), "snapshot")
            .stacked(),
        )
        .panel(
            TimeSeries::new(
                "Configurations in force",
                Unit::CountsPerMinute,
                "Configurations a minute, by fleet. Many without a cause: something writes resources all the time.",
            )
            .query(sum_by(["fleet"], rate(chosen(Name::Snapshots))) * 60.0, "{{fleet}}"),
        )
}

fn envoys() -> Row {
    let answers = |outcome| of_service_and(metric(Name::Responses), [is("outcome", outcome)]);
    Row::new("Envoys")
        .panel(
            TimeSeries::new("Connected", Unit::Number, "Envoys by fleet.")
                .query(sum_by(["fleet"], chosen(Name::Envoys)), "{{fleet}}"),
        )
        .panel(
            TimeSeries::new("Acknowledged", Unit::CountsPerSecond, "Resources that Envoys took, by type.")
                .query(sum_by(["type"], rate(answers("ack"))), "{{type}}"),
        )
        .panel(
            TimeSeries::new("Refused", Unit::CountsPerSecond, "Resources that Envoys refused, by fleet and type.")
                .query(sum_by(["fleet", "type"], rate(answers("nack"))), "{{fleet}} {{type}}")
                .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Restarts",
                Unit::Number,
                "Envoys of this machine that ended by themselves and were started again.",
            )
            .query(sum_by(["fleet"], chosen(Name::Restarts)), "{{fleet}}")
            .nothing("none"),
        )
}

fn kubernetes() -> Row {
    Row::new("Resources and Kubernetes")
        .panel(
            TimeSeries::new("Not accepted", Unit::Number, "Resources with a condition that is not well, by kind.")
                .query(sum_by(["kind"], chosen(Name::NotAccepted)), "{{kind}}")
                .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Problems of documents",
                Unit::Number,
                "What of files, or of objects in the cluster, could not be read.",
            )
            .query(sum_by(["severity"], chosen(Name::Problems)), "{{severity}}"),
        )
        .panel(
            TimeSeries::new(
                "Statuses written",
                Unit::WritesPerSecond,
                "Writes of status, by outcome. A conflict is tried again.",
            )
            .query(sum_by(["outcome"], rate(chosen(Name::StatusWrites))), "{{outcome}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Statuses that wait",
                Unit::Number,
                "Statuses that wait to be written. It should go back to nothing.",
            )
            .query(sum(chosen(Name::StatusQueue)), "")
            .nothing("no cluster"),
        )
        .panel(
            TimeSeries::new(
                "API server",
                Unit::RequestsPerSecond,
                "Requests to the API server, by status. `none`: it was not reached.",
            )
            .query(sum_by(["code"], rate(chosen(Name::ApiCalls))), "{{code}}")
            .nothing("no cluster"),
        )
        .panel(
            TimeSeries::new(
                "Objects that cannot be written",
                Unit::YesNo,
                "Fleets whose Deployment, Service or other objects the API server refuses.",
            )
            .query(sum_by(["fleet"], chosen(Name::ObjectsFailed)), "{{fleet}}")
            .nothing("none"),
        )
}
