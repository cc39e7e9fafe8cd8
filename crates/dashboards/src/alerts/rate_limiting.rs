//! Limits that do not hold.

use grafana_dashboard_builder::promql::{histogram_quantile, is, max_by, rate, sum_by};
use grafana_dashboard_builder::rules::Group;
use ratelimit::metrics::Name;

use super::{Urgency, alert, grown};
use crate::catalogue::of;
use crate::envoy;

const PAGE: &str = "rate-limiting";
const SERVICE: [&str; 2] = ["cluster", "namespace"];
const GATEWAY: [&str; 2] = ["cluster", "gateway"];

/// 99 of 100 calls to the store have to be answered within so many seconds.
const SLOW: f64 = 0.01;

pub(super) fn groups() -> Vec<Group> {
    let errors = sum_by(GATEWAY, rate(envoy::RATE_LIMIT_ERRORS.over("5m"))).above(0.0);
    let open = sum_by(SERVICE, grown(&of(Name::Fallbacks).with([is("answer", "allow")]), "5m")).above(0.0);
    let open_at_envoy = sum_by(GATEWAY, grown(&envoy::RATE_LIMIT_FAIL_OPEN.with([]), "5m")).above(0.0);
    let slow = histogram_quantile(0.99, SERVICE, of(Name::StoreSeconds).over("5m"));
    let group = Group::new("portcullis-rate-limiting")
        .alert(
            alert(
                PAGE,
                "PortcullisRateLimitErrors",
                Urgency::Page,
                errors,
                (
                    "The rate limit service does not answer {{ $labels.gateway \
                 }}",
                    "{{ $value | humanize }} calls a second fail.",
                ),
            )
            .lasting("5m"),
        )
        .alert(alert(
            PAGE,
            "PortcullisRateLimitFailsOpen",
            Urgency::Page,
            open.or(open_at_envoy),
            ("Requests pass without being counted", "{{ $value | humanize }} in five minutes: limits do not hold."),
        ))
        .alert(
            alert(
                PAGE,
                "PortcullisRateLimitStoreDown",
                Urgency::Page,
                max_by(["cluster", "namespace", "redis"], of(Name::BreakerOpen)).above(0.0),
                (
                    "Redis {{ $labels.redis }} does not answer the rate limit \
                 service",
                    "Limits are decided without it, as `store.redis.onFailure` says.",
                ),
            )
            .lasting("1m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisRateLimitStoreSlow",
                Urgency::Ticket,
                slow.above(SLOW),
                (
                    "Redis is slow for the rate limit service",
                    "One of 100 calls takes more than {{ $value | \
                 humanizeDuration }}; every limited request waits for one.",
                ),
            )
            .lasting("10m"),
        );
    vec![group]
}
