//! Grafana dashboards and Prometheus rules as Rust values.
//!
//! ```text
//! Metric ─▶ Expr ─▶ TimeSeries, Stat, … ─▶ Row ─▶ Dashboard ─▶ JSON     what is wrong comes out of `build`,
//!              └──▶ Alert, Record ─▶ Group ─▶ Rules ─▶ YAML              all of it at once, and where it is
//! ```
//!
//! - **Rows place panels.** Nobody writes coordinates, so nothing overlaps.
//! - **Queries are parsed** when a dashboard is built, Grafana's variables included; one that isn't valid is an error that
//!   names the row, the panel and the query. So is a variable that the dashboard doesn't have.
//! - **A panel has a title, a unit and a description**: they are arguments, so none can be forgotten.
//! - **Metrics are values.** Declare each once as a [`Metric`]; a [`Catalogue`] of them makes an unknown name or label an error.
//!
//! ```
//! use grafana_dashboard_builder::promql::{histogram_quantile, matches, rate, sum_by};
//! use grafana_dashboard_builder::{Catalogue, Dashboard, Metric, Row, Stat, TimeSeries, Unit, Variable};
//!
//! const REQUESTS: Metric = Metric::new("http_requests_total", &["route", "code"]);
//! const SECONDS: Metric = Metric::new("http_request_seconds", &["route"]);
//!
//! let route = || [matches("route", "$route")];
//! let dashboard = Dashboard::new("web", "Web", "What the web service does.")
//!     .known(Catalogue::new([REQUESTS, SECONDS]))
//!     .variable(Variable::data_source("datasource", "prometheus").label("Data source"))
//!     .variable(Variable::label_values("route", REQUESTS, "route").label("Route").many())
//!     .row(
//!         Row::new("Traffic")
//!             .panel(
//!                 TimeSeries::new("Requests", Unit::RequestsPerSecond, "Answered requests, by status.")
//!                     .query(sum_by(["code"], rate(REQUESTS.with(route()))), "{{code}}"),
//!             )
//!             .panel(
//!                 Stat::new("Slowest", Unit::Seconds, "99 of 100 requests are faster.")
//!                     .query(histogram_quantile(0.99, [], SECONDS.with(route())), ""),
//!             ),
//!     );
//! let json = dashboard.build()?;
//! assert_eq!(json["panels"][1]["gridPos"]["w"], 12);
//! # Ok::<(), grafana_dashboard_builder::Error>(())
//! ```
//!
//! Raw PromQL is welcome wherever an expression is, and is checked like all else:
//!
//! ```
//! use grafana_dashboard_builder::{Dashboard, Row, TimeSeries, Unit};
//!
//! let panel = TimeSeries::new("Up", Unit::Number, "Targets that answer.").query("sum(up", "");
//! let error = Dashboard::new("up", "Up", "Targets.").row(Row::new("Targets").panel(panel)).build().unwrap_err();
//! assert!(error.to_string().starts_with("row `Targets`, panel `Up`, query A: "), "{error}");
//! ```

mod annotation;
mod catalogue;
mod check;
mod color;
mod dashboard;
mod data_source;
mod error;
mod layout;
mod link;
pub mod panel;
pub mod promql;
mod row;
pub mod rules;
mod target;
mod transform;
mod unit;
mod variable;

pub use annotation::Annotation;
pub use catalogue::Catalogue;
pub use color::Color;
pub use dashboard::{Dashboard, SCHEMA_VERSION};
pub use data_source::DataSource;
pub use error::{Error, Problem};
pub use link::Link;
pub use panel::{AnyPanel, BarGauge, Calculation, Gauge, Heatmap, Logs, Panel, Stat, Table, Text, TimeSeries};
pub use promql::{Expr, Metric};
pub use row::Row;
pub use target::Target;
pub use transform::Transformation;
pub use unit::Unit;
pub use variable::Variable;
