//! Whether all that happened was counted.

use exporter::metrics::Name;
use grafana_dashboard_builder::promql::{Selector, increase, rate, share, sum, sum_by};
use grafana_dashboard_builder::{BarGauge, Color, Dashboard, Metric, Row, Stat, TimeSeries, Unit};

use crate::catalogue::of;
use crate::envoy;
use crate::select::{cluster, of_service, service_board};

pub(super) fn board() -> Dashboard {
    let about = "What Envoys wrote against what came in, what was dropped or counted as `other`, and security events.";
    service_board("portcullis-exporter", "Exporter & loss", "exporter", about)
        .row(loss())
        .row(entries())
        .row(events())
        .row(super::process::row("exporter"))
}

fn chosen(name: Name) -> Selector {
    of_service(of(name))
}

fn loss() -> Row {
    let of_envoys = |metric: Metric| metric.with([cluster()]);
    let dropped = || sum(rate(of_envoys(envoy::LOG_DROPPED)));
    let written = || sum(rate(of_envoys(envoy::LOG_WRITTEN)));
    Row::new("Loss")
        .panel(
            Stat::new(
                "Lost",
                Unit::Ratio,
                "Entries that Envoys dropped, of those they had: no stream took them in time.",
            )
            .query(share(dropped(), written()), "")
            .from(0.000_001, Color::Yellow)
            .from(0.001, Color::Red)
            .width(5),
        )
        .panel(
            TimeSeries::new(
                "Written and received",
                Unit::MessagesPerSecond,
                "What Envoys wrote, and what came in here. They differ by what is under way, and by loss.",
            )
            .query(written(), "written by Envoys")
            .query(sum(rate(chosen(Name::Entries))), "received"),
        )
        .panel(
            TimeSeries::new("Dropped by Envoys", Unit::MessagesPerSecond, "By Envoy, as the exporter heard of it.")
                .query(sum_by(["envoy"], rate(chosen(Name::EnvoyDropped))), "{{envoy}}")
                .query(dropped(), "as Envoys say themselves")
                .nothing("none"),
        )
        .panel(
            TimeSeries::new("Dropped here", Unit::MessagesPerSecond, "Entries that could not be counted, by reason.")
                .query(sum_by(["reason"], rate(chosen(Name::Dropped))), "{{reason}}")
                .nothing("none"),
        )
}

fn entries() -> Row {
    Row::new("Entries and series")
        .panel(
            TimeSeries::new("Entries", Unit::MessagesPerSecond, "Entries by kind.")
                .query(sum_by(["kind"], rate(chosen(Name::Entries))), "{{kind}}")
                .stacked(),
        )
        .panel(
            TimeSeries::new("Streams", Unit::Number, "Open streams: one for each worker of each Envoy.")
                .query(sum_by(["instance"], chosen(Name::Streams)), "{{instance}}"),
        )
        .panel(
            BarGauge::new("Series", Unit::Number, "Sets of labels that each metric has.")
                .query(sum_by(["metric"], chosen(Name::Series)), "{{metric}}"),
        )
        .panel(
            TimeSeries::new(
                "Counted as other",
                Unit::MessagesPerSecond,
                "Entries whose labels are `other`, for the metric has reached its cap.",
            )
            .query(sum_by(["metric"], rate(chosen(Name::Capped))), "{{metric}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Envoys that did not answer",
                Unit::Number,
                "Times that an Envoy could not be asked for its figures.",
            )
            .query(sum_by(["envoy"], increase(chosen(Name::EnvoyUnreachable))), "{{envoy}}")
            .nothing("none"),
        )
}

fn events() -> Row {
    Row::new("Security events")
        .panel(
            TimeSeries::new(
                "Events",
                Unit::CountsPerSecond,
                "Blocks, limits, logins, refusals: as they are written to the log of events.",
            )
            .query(sum_by(["event"], rate(chosen(Name::Events))), "{{event}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Events lost",
                Unit::CountsPerSecond,
                "Events that were not written, by sink: the file or the collector was too slow, or took no more.",
            )
            .query(sum_by(["sink"], rate(chosen(Name::EventsDropped))), "{{sink}}")
            .nothing("none"),
        )
}
