//! What the firewall blocks, would block and misses, and which rules are likely to be wrong.

use grafana_dashboard_builder::promql::{
    Matcher, Selector, histogram_quantile, increase, is, matches, mean_by, per_bucket, rate, scalar, share, sum,
    sum_by, topk,
};
use grafana_dashboard_builder::{
    BarGauge, Color, Dashboard, Heatmap, Metric, Row, Stat, Table, TimeSeries, Transformation, Unit, Variable,
};
use waf::metrics::Name;

use crate::catalogue::of;
use crate::envoy;
use crate::select::{cluster, of_service, of_service_and, service_board};

pub(super) fn board() -> Dashboard {
    let about = "What is blocked and would be, by which rules, with which scores, and at what cost.";
    let profiles = Variable::label_values("profile", chosen(Name::Transactions), "profile").label("Profile").many();
    service_board("portcullis-waf", "WAF", "waf", about)
        .variable(profiles)
        .row(now())
        .row(verdicts())
        .row(rules())
        .row(cost())
        .row(gaps())
        .row(super::process::row("waf"))
}

fn chosen(name: Name) -> Selector {
    of_service(of(name))
}

fn of_profile<const N: usize>(name: Name, and: [Matcher; N]) -> Selector {
    and.into_iter().fold(of_service_and(of(name), [matches("profile", "$profile")]), Selector::and)
}

fn now() -> Row {
    let verdict = |verdict| sum(rate(of_profile(Name::Transactions, [is("verdict", verdict)])));
    let all = || sum(rate(of_profile(Name::Transactions, [])));
    Row::new("Now")
        .height(5)
        .panel(Stat::new("Inspected", Unit::RequestsPerSecond, "Requests that were looked at.").query(all(), ""))
        .panel(
            Stat::new("Blocked", Unit::Ratio, "Requests that were blocked, of all.")
                .query(share(verdict("block"), all()), "")
                .decimals(2),
        )
        .panel(
            Stat::new(
                "Would be blocked",
                Unit::Ratio,
                "Requests that profiles which only detect would have blocked, of all.",
            )
            .query(share(verdict("detect"), all()), "")
            .decimals(2),
        )
        .panel(
            Stat::new(
                "Not judged",
                Unit::RequestsPerSecond,
                "Requests that passed or were refused without a judgement.",
            )
            .query(sum(rate(of_profile(Name::Failures, []))).or_zero(), "")
            .from(0.001, Color::Red),
        )
}

fn verdicts() -> Row {
    Row::new("Verdicts")
        .panel(
            TimeSeries::new(
                "By verdict",
                Unit::RequestsPerSecond,
                "pass; block; detect: would be blocked; failure: not judged.",
            )
            .query(sum_by(["verdict"], rate(of_profile(Name::Transactions, []))), "{{verdict}}")
            .stacked()
            .color_of("block", Color::Red)
            .color_of("detect", Color::Orange)
            .color_of("pass", Color::Green),
        )
        .panel(
            TimeSeries::new("Blocked by profile", Unit::RequestsPerSecond, "Blocked requests, by profile.")
                .query(
                    sum_by(["profile"], rate(of_profile(Name::Transactions, [is("verdict", "block")]))),
                    "{{profile}}",
                )
                .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Profiles on trial",
                Unit::RequestsPerSecond,
                "What profiles that only look on would have blocked, beside what is in force.",
            )
            .query(sum_by(["profile"], rate(of_profile(Name::Shadow, [is("verdict", "block")]))), "{{profile}}")
            .nothing("none"),
        )
}

fn rules() -> Row {
    let by_rule = |range: &str| sum_by(["rule"], increase(chosen(Name::Matches).over(range)));
    let blocked = sum(increase(of_profile(Name::Transactions, [is("verdict", "block")]).over("$__range")));
    Row::new("Rules and scores")
        .panel(
            BarGauge::new(
                "Rules that match most",
                Unit::Number,
                "Matches in the time that is shown. The audit log \
             has the requests.",
            )
            .query(topk(15, by_rule("$__range")), "{{rule}}"),
        )
        .panel(
            Table::new(
                "False-positive candidates",
                Unit::Number,
                "Rules that match far more often than requests are blocked: they meet ordinary requests. Look at them \
                 in the audit log before excluding them.",
            )
            .query(topk(15, (by_rule("$__range") - scalar(blocked.or_zero())).above(0.0)), "")
            .transform(Transformation::hide(["Time"]))
            .transform(Transformation::rename([("rule", "Rule"), ("Value", "Matches without a block")]))
            .nothing("none"),
        )
        .panel(
            Heatmap::new(
                "Scores",
                Unit::Full,
                "Anomaly scores of requests. A profile blocks from its threshold up (5 \
             unless set).",
            )
            .query(per_bucket([], of_profile(Name::Score, [])), "{{le}}"),
        )
        .panel(
            TimeSeries::new(
                "Mean score",
                Unit::Full,
                "The mean anomaly score, by profile. A step is a new client, or \
             an attack.",
            )
            .query(mean_by(["profile"], of_profile(Name::Score, [])), "{{profile}}")
            .decimals(2),
        )
}

fn cost() -> Row {
    let body = |direction| sum(rate(of_service_and(of(Name::BodyBytes), [is("direction", direction)])));
    Row::new("Cost")
        .panel(
            TimeSeries::new("Time by phase", Unit::Seconds, "99 of 100 requests spend less time in a phase.")
                .query(histogram_quantile(0.99, ["phase"], chosen(Name::PhaseSeconds)), "{{phase}}"),
        )
        .panel(
            TimeSeries::new("Mean time by phase", Unit::Seconds, "What an ordinary request costs.")
                .query(mean_by(["phase"], chosen(Name::PhaseSeconds)), "{{phase}}"),
        )
        .panel(
            TimeSeries::new("Bodies", Unit::BytesPerSecond, "Bytes of bodies that were looked at.")
                .query(body("request"), "requests")
                .query(body("response"), "responses"),
        )
        .panel(
            TimeSeries::new("Open streams", Unit::Number, "Requests that are in the firewall.")
                .query(sum_by(["instance"], chosen(Name::Streams)), "{{instance}}"),
        )
}

fn gaps() -> Row {
    Row::new("What was not looked at")
        .panel(
            TimeSeries::new(
                "Not judged",
                Unit::RequestsPerSecond,
                "By answer (open: passed, closed: refused) and reason.",
            )
            .query(
                sum_by(["profile", "answer", "reason"], rate(of_profile(Name::Failures, []))),
                "{{profile}} {{answer}}: {{reason}}",
            )
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Turned away",
                Unit::RequestsPerSecond,
                "Too many were waiting; or a profile that does not exist; or a stream that makes no sense.",
            )
            .query(sum(rate(chosen(Name::Overload))), "too many")
            .query(sum(rate(chosen(Name::UnknownProfile))), "unknown profile")
            .query(sum(rate(chosen(Name::Malformed))), "malformed")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Bodies cut or missing",
                Unit::CountsPerSecond,
                "Bodies longer than the limit, and those that Envoy did not send.",
            )
            .query(
                sum_by(["direction", "inspected"], rate(chosen(Name::Cut))),
                "{{direction}}: {{inspected}} was looked at",
            )
            .query(sum(rate(chosen(Name::MissedBodies))), "not sent")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new("Audit log", Unit::CountsPerSecond, "Entries of the audit log. Those dropped are lost.")
                .query(sum_by(["outcome"], rate(chosen(Name::Audit))), "{{outcome}}")
                .color_of("dropped", Color::Red)
                .color_of("lost", Color::Red)
                .nothing("none"),
        )
        .panel(unanswered())
        .panel(
            Stat::new("Profiles", Unit::Full, "Profiles in force, by process. They should be the same.")
                .query(chosen(Name::Profiles), "{{instance}}")
                .plain(),
        )
}

/// What Envoys say of it, which holds where no firewall runs, too.
fn unanswered() -> TimeSeries {
    let of_envoys = |metric: Metric| metric.with([cluster()]);
    TimeSeries::new(
        "Envoys without an answer",
        Unit::RequestsPerSecond,
        "Streams that failed as Envoys see it, and requests that passed unseen for that.",
    )
    .query(sum(rate(of_envoys(envoy::PROCESSOR_ERRORS))), "failed")
    .query(sum(rate(of_envoys(envoy::PROCESSOR_TIMEOUTS))), "too slow")
    .query(sum(rate(of_envoys(envoy::PROCESSOR_FAIL_OPEN))), "passed unseen")
    .nothing("none")
}
