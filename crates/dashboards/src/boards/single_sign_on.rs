//! Logins, sessions, refusals, and the providers and stores that they need.

use grafana_dashboard_builder::promql::{Selector, histogram_quantile, is, is_not, max, rate, share, sum, sum_by};
use grafana_dashboard_builder::{Color, Dashboard, Metric, Row, Stat, TimeSeries, Unit};
use oidc::metrics::Name;

use crate::catalogue::of;
use crate::envoy;
use crate::select::{cluster, of_service, of_service_and, service_board};

pub(super) fn board() -> Dashboard {
    let about = "Logins and refusals, how long a check takes, and whether providers and the store answer.";
    service_board("portcullis-single-sign-on", "Single sign-on", "oidc", about)
        .row(now())
        .row(checks())
        .row(logins())
        .row(behind())
        .row(super::process::row("oidc"))
}

fn chosen(name: Name) -> Selector {
    of_service(of(name))
}

fn now() -> Row {
    let done = of_service_and(of(Name::Logins), [is("outcome", "done")]);
    let errors = of_service_and(of(Name::Checks), [is("outcome", "error")]);
    Row::new("Now")
        .height(5)
        .panel(
            Stat::new("Checks", Unit::RequestsPerSecond, "Requests that were checked.")
                .query(sum(rate(chosen(Name::Checks))), ""),
        )
        .panel(
            Stat::new(
                "Errors",
                Unit::Ratio,
                "Checks that could not be decided, of all: a provider or the store did not answer.",
            )
            .query(share(sum(rate(errors)), sum(rate(chosen(Name::Checks)))), "")
            .from(0.001, Color::Red),
        )
        .panel(
            Stat::new("Logins", Unit::CountsPerMinute, "Logins that were finished, a minute.")
                .query(sum(rate(done)).or_zero() * 60.0, ""),
        )
        .panel(
            Stat::new("Store", Unit::Full, "Whether Redis is left alone because it fails.")
                .query(max(chosen(Name::BreakerOpen)), "")
                .text(0.0, "answers", Color::Green)
                .text(1.0, "left alone", Color::Red)
                .plain(),
        )
}

fn checks() -> Row {
    let quantile = |quantile| histogram_quantile(quantile, [], chosen(Name::CheckSeconds));
    Row::new("Checks")
        .panel(
            TimeSeries::new(
                "By outcome",
                Unit::RequestsPerSecond,
                "session: logged in; bearer: a token; login: sent to log in; own: our own pages.",
            )
            .query(sum_by(["outcome"], rate(chosen(Name::Checks))), "{{outcome}}")
            .stacked(),
        )
        .panel(
            TimeSeries::new("Time of a check", Unit::Seconds, "How long a request waits for it.")
                .query(quantile(0.5), "half within")
                .query(quantile(0.99), "99 of 100 within"),
        )
        .panel(
            TimeSeries::new("Refused", Unit::RequestsPerSecond, "Requests that were refused, by reason.")
                .query(sum_by(["reason"], rate(chosen(Name::Denials))), "{{reason}}")
                .nothing("none"),
        )
}

fn logins() -> Row {
    let not = |name, outcome| of_service_and(of(name), [is_not("outcome", outcome)]);
    Row::new("Logins and sessions")
        .panel(
            TimeSeries::new("Logins", Unit::CountsPerSecond, "Logins that were finished, by provider.")
                .query(
                    sum_by(["provider"], rate(of_service_and(of(Name::Logins), [is("outcome", "done")]))),
                    "{{provider}}",
                )
                .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Logins that failed",
                Unit::CountsPerSecond,
                "By provider and reason. `state` is a login that this browser did not begin.",
            )
            .query(sum_by(["provider", "outcome"], rate(not(Name::Logins, "done"))), "{{provider}} {{outcome}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Tokens renewed",
                Unit::CountsPerSecond,
                "By provider and outcome. `refused` ends the session.",
            )
            .query(sum_by(["provider", "outcome"], rate(chosen(Name::Refreshes))), "{{provider}} {{outcome}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Logouts",
                Unit::CountsPerSecond,
                "Ended sessions: here, by the provider (back, front), because a refresh was refused.",
            )
            .query(sum_by(["how"], rate(chosen(Name::Logouts))), "{{how}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Sessions in memory",
                Unit::Number,
                "Sessions in the processes' memory. Those in Redis and cookies are not counted.",
            )
            .query(sum_by(["instance"], chosen(Name::Sessions)), "{{instance}}"),
        )
}

fn behind() -> Row {
    let of_envoys = |metric: Metric| metric.with([cluster()]);
    Row::new("Providers and store")
        .panel(
            TimeSeries::new(
                "Providers' time",
                Unit::Seconds,
                "99 of 100 requests to a provider are answered in less \
             time.",
            )
            .query(
                histogram_quantile(0.99, ["provider", "request"], chosen(Name::ProviderSeconds)),
                "{{provider}} {{request}}",
            )
            .nothing("none asked"),
        )
        .panel(
            TimeSeries::new(
                "Providers' errors",
                Unit::CountsPerSecond,
                "unavailable: not reached, keys and discovery \
             included; client: our credentials; grant, refused: the person's login.",
            )
            .query(sum_by(["provider", "kind"], rate(chosen(Name::ProviderErrors))), "{{provider}} {{kind}}")
            .nothing("none"),
        )
        .panel(
            TimeSeries::new("Store's time", Unit::Seconds, "99 of 100 calls to Redis are answered in less time.")
                .query(histogram_quantile(0.99, ["call"], chosen(Name::StoreSeconds)), "{{call}}")
                .nothing("no Redis"),
        )
        .panel(
            TimeSeries::new("Store's failures", Unit::CountsPerSecond, "Calls to Redis that failed, by reason.")
                .query(sum_by(["reason"], rate(chosen(Name::StoreFailures))), "{{reason}}")
                .nothing("none"),
        )
        .panel(
            TimeSeries::new(
                "Envoys without an answer",
                Unit::RequestsPerSecond,
                "Checks that failed as Envoys see \
             it, and requests that passed unchecked for that.",
            )
            .query(sum(rate(of_envoys(envoy::AUTHORIZATION_ERRORS))), "failed")
            .query(sum(rate(of_envoys(envoy::AUTHORIZATION_FAIL_OPEN))), "passed unchecked")
            .nothing("none"),
        )
}
