//! Attacks, and requests that nobody looked at.

use grafana_dashboard_builder::promql::{Ranged, histogram_quantile, is, rate, sum_by};
use grafana_dashboard_builder::rules::Group;
use waf::metrics::Name;

use super::{Urgency, alert, grown};
use crate::catalogue::of;
use crate::envoy;

const PAGE: &str = "waf";
const PROFILE: [&str; 3] = ["cluster", "namespace", "profile"];

/// 99 of 100 requests have to be through a phase within so many seconds.
const SLOW: f64 = 0.05;
/// Fewer blocked requests a second are no surge, whatever is usual.
const FEWEST: f64 = 0.5;

pub(super) fn groups() -> Vec<Group> {
    let open = sum_by(PROFILE, grown(&of(Name::Failures).with([is("answer", "open")]), "5m")).above(0.0);
    let open_at_envoy = sum_by(["cluster", "gateway"], grown(&envoy::PROCESSOR_FAIL_OPEN.with([]), "5m")).above(0.0);
    let slow = histogram_quantile(0.99, ["cluster", "namespace", "phase"], of(Name::PhaseSeconds).over("5m"));
    let blocked = || of(Name::Transactions).with([is("verdict", "block")]);
    let of_blocked = |range: Ranged| sum_by(PROFILE, rate(range));
    let usual = of_blocked(blocked().over("6h").offset("10m"));
    let surge =
        of_blocked(blocked().over("10m")).above(FEWEST).unless((of_blocked(blocked().over("10m")) / usual).below(5.0));
    let overloaded = sum_by(["cluster", "namespace"], rate(of(Name::Overload).over("5m"))).above(0.0);
    let group = Group::new("portcullis-waf")
        .alert(alert(
            PAGE,
            "PortcullisFirewallFailsOpen",
            Urgency::Page,
            open.or(open_at_envoy),
            (
                "Requests pass the firewall unseen",
                "{{ $value | humanize }} in five minutes could not be judged, and passed.",
            ),
        ))
        .alert(
            alert(
                PAGE,
                "PortcullisFirewallOverloaded",
                Urgency::Page,
                overloaded,
                ("The firewall turns requests away", "{{ $value | humanize }} a second: too many are waiting."),
            )
            .lasting("2m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisFirewallSlow",
                Urgency::Ticket,
                slow.above(SLOW),
                (
                    "The firewall is slow ({{ $labels.phase }})",
                    "One of 100 requests spends more than {{ $value | humanizeDuration }} there.",
                ),
            )
            .lasting("10m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisFirewallBlocksMuch",
                Urgency::Ticket,
                surge,
                (
                    "{{ $labels.profile }} blocks far more than usual",
                    "{{ $value | humanize }} requests a second: an attack, or a rule that meets ordinary requests.",
                ),
            )
            .lasting("5m"),
        );
    vec![group]
}
