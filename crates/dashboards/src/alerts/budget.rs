//! Error budgets: how much of what a route may fail is left, and whether it's used up too quickly.
//!
//! The objective is that of [`OBJECTIVE`] for every route. A budget that burns 14.4 times as fast as it may is gone in two days
//! (a fiftieth of it in an hour), one that burns 6 times as fast in five; the short window ends the alert soon after the cause.

use exporter::metrics::Name;
use grafana_dashboard_builder::promql::{is, matches, rate, sum_by};
use grafana_dashboard_builder::rules::{Group, Record};
use grafana_dashboard_builder::{Expr, Metric};

use super::{Urgency, alert};
use crate::catalogue::of;

/// The share of requests that must not fail (answer 5xx) in 30 days.
pub const OBJECTIVE: f64 = 0.999;

/// Whose budget it is.
const BY: [&str; 4] = ["cluster", "gateway", "route_namespace", "route"];

/// What is left of a route's error budget of 30 days: 1 is all of it, below 0 the objective is missed.
pub const LEFT: Metric = Metric::new("route:gateway_error_budget:left", &BY);

const SHARE_5M: Metric = Metric::new("route:gateway_errors:share5m", &BY);
const SHARE_30M: Metric = Metric::new("route:gateway_errors:share30m", &BY);
const SHARE_1H: Metric = Metric::new("route:gateway_errors:share1h", &BY);
const SHARE_6H: Metric = Metric::new("route:gateway_errors:share6h", &BY);
const SHARE_30D: Metric = Metric::new("route:gateway_errors:share30d", &BY);
const REQUESTS_1H: Metric = Metric::new("route:gateway_requests:rate1h", &BY);

/// Below this rate a single failure would be a large share: about 36 requests in an hour.
const FEWEST: f64 = 0.01;

pub(super) fn recorded() -> Vec<Metric> {
    vec![LEFT, SHARE_5M, SHARE_30M, SHARE_1H, SHARE_6H, SHARE_30D, REQUESTS_1H]
}

pub(super) fn groups() -> Vec<Group> {
    let shares = Group::new("portcullis-budgets")
        .interval("30s")
        .record(Record::new(SHARE_5M, share("5m")))
        .record(Record::new(SHARE_30M, share("30m")))
        .record(Record::new(SHARE_1H, share("1h")))
        .record(Record::new(SHARE_6H, share("6h")))
        .record(Record::new(REQUESTS_1H, sum_by(BY, rate(routed().over("1h")))));
    let left = Expr::from(1.0) - Expr::from(SHARE_30D) / budget();
    let month = Group::new("portcullis-budgets-of-30-days")
        .interval("5m")
        .record(Record::new(SHARE_30D, share("30d")))
        .record(Record::new(LEFT, left));
    let burns = |long: Metric, short: Metric, times: f64| {
        let above = |share: Metric| Expr::from(share).above(round(times * budget()));
        above(long).and(above(short)).and(Expr::from(REQUESTS_1H).above(FEWEST))
    };
    let fast = "{{ $labels.route_namespace }}/{{ $labels.route }} uses up its error budget of 30 days within two days";
    let slow = "{{ $labels.route_namespace }}/{{ $labels.route }} uses up its error budget of 30 days within five days";
    let failing = "{{ $value | humanizePercentage }} of its requests fail; 0.1 % may.";
    let alerts = Group::new("portcullis-budget-alerts")
        .alert(
            alert(
                "budgets",
                "PortcullisErrorBudgetBurnsFast",
                Urgency::Page,
                burns(SHARE_1H, SHARE_5M, 14.4),
                (fast, failing),
            )
            .lasting("2m"),
        )
        .alert(
            alert(
                "budgets",
                "PortcullisErrorBudgetBurnsSlowly",
                Urgency::Ticket,
                burns(SHARE_6H, SHARE_30M, 6.0),
                (slow, failing),
            )
            .lasting("15m"),
        );
    vec![shares, month, alerts]
}

/// The share that may fail.
fn budget() -> f64 {
    round(1.0 - OBJECTIVE)
}

/// Without the dust of binary fractions, so that rules can be read.
fn round(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn routed() -> grafana_dashboard_builder::promql::Selector {
    of(Name::Requests).with([matches("route_namespace", ".+")])
}

/// The share of requests that failed, 0 where none did.
fn share(window: &str) -> Expr {
    let all = || sum_by(BY, rate(routed().over(window)));
    let failed = sum_by(BY, rate(routed().and(is("code_class", "5xx")).over(window)));
    failed.or(all() * 0.0) / all()
}
