//! The row that dashboards of services end with: the processes themselves.

use grafana_dashboard_builder::promql::{Expr, clamp_min, increase, is, rate};
use grafana_dashboard_builder::{Color, Row, Stat, Table, TimeSeries, Transformation, Unit};
use kit::metrics::Shared;

use crate::catalogue::of;
use crate::select::{of_service, of_service_and, only};

/// Processor time, memory, files and configuration of a service.
pub(super) fn row(service: &str) -> Row {
    resources(service)
        .panel(
            Stat::new(
                "Configuration",
                Unit::Full,
                "Whether the file of the configuration is in force. If not, the one before it is.",
            )
            .query(only(service, of_service(of(Shared::ConfigCurrent))), "{{config}} {{instance}}")
            .text(1.0, "in force", Color::Green)
            .text(0.0, "not usable", Color::Red)
            .plain()
            .width(5),
        )
        .panel(
            TimeSeries::new("Reloads that failed", Unit::Number, "Files that were not usable. The log says why.")
                .query(
                    clamp_min(only(service, increase(of_service(of(Shared::ConfigFailures)))), 0.0),
                    "{{config}} {{instance}}",
                )
                .width(11)
                .nothing("none"),
        )
        .panel(versions(service).width(8))
}

/// The same of a service that reads its configuration once.
pub(super) fn row_without_configuration(service: &str) -> Row {
    resources(service).panel(versions(service))
}

fn resources(service: &str) -> Row {
    let files = Expr::from(of_service(of(Shared::OpenFiles))) / of_service(of(Shared::MaxFiles));
    Row::new("Processes")
        .panel(
            TimeSeries::new("Processor time", Unit::Ratio, "Processors in use: 100 % is one of them.")
                .query(only(service, rate(of_service(of(Shared::CpuSeconds)))), "{{instance}}"),
        )
        .panel(
            TimeSeries::new("Memory", Unit::Bytes, "Memory in use.")
                .query(only(service, of_service(of(Shared::ResidentMemory))), "{{instance}}")
                .min(0.0),
        )
        .panel(
            TimeSeries::new(
                "Open files",
                Unit::Ratio,
                "Open files and connections, of those that may be. At 100 % none can be added.",
            )
            .query(only(service, files), "{{instance}}")
            .from(0.8, Color::Red)
            .threshold_lines()
            .max(1.0),
        )
}

fn versions(service: &str) -> Table {
    Table::new("Versions", Unit::Full, "What runs where.")
        .query(of_service_and(of(Shared::BuildInfo), [is("service", service)]), "")
        .transform(Transformation::hide(["Time", "Value", "__name__", "job", "service"]))
}
