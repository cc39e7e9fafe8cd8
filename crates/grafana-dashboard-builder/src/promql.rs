//! PromQL: metrics as values, and the expressions that dashboards and rules are mostly made of.
//!
//! ```
//! use grafana_dashboard_builder::Metric;
//! use grafana_dashboard_builder::promql::{is, matches_not, rate, sum, sum_by};
//!
//! const REQUESTS: Metric = Metric::new("http_requests_total", &["route", "code"]);
//!
//! let of_route = |code| REQUESTS.with([is("route", "shop"), code]).over("5m");
//! let share = sum(rate(of_route(is("code", "500")))) / sum(rate(of_route(matches_not("code", "5.."))));
//! assert_eq!(
//!     share.above(0.01).to_string(),
//!     r#"(sum(rate(http_requests_total{route="shop",code="500"}[5m])) / "#.to_owned()
//!         + r#"sum(rate(http_requests_total{route="shop",code!~"5.."}[5m]))) > 0.01"#
//! );
//! // Without a range it is the one that suits the panel's resolution.
//! assert_eq!(rate(REQUESTS).to_string(), "rate(http_requests_total[$__rate_interval])");
//! assert_eq!(sum_by(["code"], REQUESTS).to_string(), "sum by (code) (http_requests_total)");
//! ```

mod expr;
mod functions;
mod metric;
mod parse;

pub use expr::Expr;
pub use functions::{
    absent, avg_by, avg_over_time, bottomk, clamp_min, count, count_by, histogram_quantile, increase, max, max_by,
    mean, mean_by, min, min_by, per_bucket, rate, scalar, share, sum, sum_by, time, topk,
};
pub use metric::{Matcher, Metric, Ranged, Selector, is, is_not, matches, matches_not};
pub(crate) use parse::{Parsed, Used, parse, variables};
