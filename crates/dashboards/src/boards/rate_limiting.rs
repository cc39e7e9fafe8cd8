//! Who is limited, by which rule, and whether the counters can be reached.

use grafana_dashboard_builder::promql::{
    Selector, histogram_quantile, is, max_by, per_bucket, rate, share, sum, sum_by, topk,
};
use grafana_dashboard_builder::promql::{increase, matches};
use grafana_dashboard_builder::{BarGauge, Color, Dashboard, Heatmap, Row, Stat, TimeSeries, Unit, Variable};
use ratelimit::metrics::Name;

use crate::catalogue::of;
use crate::envoy;
use crate::select::{cluster, of_service, of_service_and, service_board};

const RULE: [&str; 2] = ["domain", "rule"];
const NAME: &str = "{{domain}} {{rule}}";

pub(super) fn board() -> Dashboard {
    let about = "Decisions by rule, hits near and over limits, and the store that counts them.";
    let domains = Variable::label_values("domain", chosen(Name::Hits), "domain").label("Domain").many();
    service_board("portcullis-rate-limiting", "Rate limiting", "ratelimit", about)
        .variable(domains)
        .row(now())
        .row(rules())
        .row(store())
        .row(service())
        .row(super::process::row("ratelimit"))
}

fn chosen(name: Name) -> Selector {
    of_service(of(name))
}

fn of_rules(name: Name) -> Selector {
    of_service_and(of(name), [matches("domain", "$domain")])
}

fn now() -> Row {
    let over = of_service_and(of(Name::Requests), [is("code", "over_limit")]);
    Row::new("Now")
        .height(5)
        .panel(
            Stat::new("Decisions", Unit::RequestsPerSecond, "Requests that were decided.")
                .query(sum(rate(chosen(Name::Requests))), ""),
        )
        .panel(
            Stat::new("Refused", Unit::Ratio, "Requests over a limit, of all.")
                .query(share(sum(rate(over)), sum(rate(chosen(Name::Requests)))), ""),
        )
        .panel(
            Stat::new(
                "Without the store",
                Unit::RequestsPerSecond,
                "Requests that were answered without counting, for the store did not answer.",
            )
            .query(sum(rate(chosen(Name::Fallbacks))).or_zero(), "")
            .from(0.001, Color::Red),
        )
        .panel(
            Stat::new("Store", Unit::Full, "Whether a Redis is left alone because it fails.")
                .query(max_by(["redis"], chosen(Name::BreakerOpen)), "{{redis}}")
                .text(0.0, "answers", Color::Green)
                .text(1.0, "left alone", Color::Red)
                .nothing("in the process")
                .plain(),
        )
}

fn rules() -> Row {
    let by_rule = |name| topk(10, sum_by(RULE, rate(of_rules(name))));
    Row::new("Rules")
        .panel(
            TimeSeries::new("Hits", Unit::CountsPerSecond, "Hits of the ten busiest rules.")
                .query(by_rule(Name::Hits), NAME),
        )
        .panel(
            TimeSeries::new("Over the limit", Unit::CountsPerSecond, "Hits over the limit.")
                .query(by_rule(Name::Over), NAME),
        )
        .panel(
            TimeSeries::new(
                "Near the limit",
                Unit::CountsPerSecond,
                "Hits in the last part of a limit: who comes next.",
            )
            .query(by_rule(Name::Near), NAME),
        )
        .panel(
            BarGauge::new("Most refused", Unit::Number, "Rules by hits over the limit, in the time that is shown.")
                .query(topk(10, sum_by(RULE, increase(of_rules(Name::Over).over("$__range")))), NAME),
        )
        .panel(
            TimeSeries::new(
                "Shadow mode",
                Unit::CountsPerSecond,
                "Hits over the limit that were let through because the rule is on trial.",
            )
            .query(by_rule(Name::Shadow), NAME)
            .query(sum(rate(chosen(Name::GlobalShadow))), "all rules on trial"),
        )
        .panel(
            TimeSeries::new(
                "Refused from memory",
                Unit::CountsPerSecond,
                "Hits over the limit that were known without asking the store.",
            )
            .query(by_rule(Name::OverCached), NAME),
        )
}

fn store() -> Row {
    let quantile = |quantile| histogram_quantile(quantile, [], chosen(Name::StoreSeconds));
    Row::new("Store")
        .panel(
            TimeSeries::new(
                "Time of a call",
                Unit::Seconds,
                "How long the store takes. Every request with a limit waits for it.",
            )
            .query(quantile(0.5), "half within")
            .query(quantile(0.99), "99 of 100 within")
            .from(0.01, Color::Red)
            .threshold_lines(),
        )
        .panel(
            Heatmap::new("Calls", Unit::Seconds, "How many calls took how long.")
                .query(per_bucket([], chosen(Name::StoreSeconds)), "{{le}}"),
        )
        .panel(
            TimeSeries::new(
                "Answered without the store",
                Unit::RequestsPerSecond,
                "By answer (allow, deny, local) and reason.",
            )
            .query(sum_by(["answer", "reason"], rate(chosen(Name::Fallbacks))), "{{answer}}: {{reason}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Counters in the process",
                Unit::Number,
                "Counters of the embedded store, and those that it forgot for want of room.",
            )
            .query(sum(chosen(Name::MemoryKeys)), "counters")
            .query(sum(increase(chosen(Name::Evictions))), "forgotten")
            .query(sum(increase(chosen(Name::Repaired))), "replaced, for they were no counters"),
        )
}

fn service() -> Row {
    let of_envoys = |metric: grafana_dashboard_builder::Metric| metric.with([cluster()]);
    Row::new("Service")
        .panel(
            TimeSeries::new(
                "Malformed",
                Unit::CountsPerSecond,
                "Requests that make no sense, and those for domains without rules.",
            )
            .query(sum_by(["reason"], rate(chosen(Name::Malformed))), "{{reason}}")
            .query(sum(rate(chosen(Name::UnknownDomain))), "unknown domain")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Leases",
                Unit::RequestsPerSecond,
                "Requests that were let through from a part of the limit that was fetched before.",
            )
            .query(sum(rate(chosen(Name::Leased))), ""),
        )
        .panel(
            TimeSeries::new(
                "Rules from the controller",
                Unit::Number,
                "Rules that came by xDS, taken (ack) or refused (nack).",
            )
            .query(sum_by(["outcome"], increase(chosen(Name::Updates))), "{{outcome}}")
            .nothing("rules come from files"),
        )
        .panel(
            TimeSeries::new(
                "Envoys without an answer",
                Unit::RequestsPerSecond,
                "Calls that failed as Envoys see it, and requests that passed without a limit for that.",
            )
            .query(sum(rate(of_envoys(envoy::RATE_LIMIT_ERRORS))), "failed")
            .query(sum(rate(of_envoys(envoy::RATE_LIMIT_FAIL_OPEN))), "passed without a limit")
            .nothing("none"),
        )
}
