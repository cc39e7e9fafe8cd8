//! Attacks, and requests that nobody looked at.

use grafana_dashboard_builder::promql::{Ranged, histogram_quantile, is, max_by, rate, sum_by};
use grafana_dashboard_builder::rules::{Alert, Group};
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
    let group = Group::new("portcullis-waf").alert(fails_open()).alert(overloaded()).alert(slow());
    vec![group.alert(blocks_much()).alert(unusable())]
}

fn fails_open() -> Alert {
    let open = sum_by(PROFILE, grown(&of(Name::Failures).with([is("answer", "open")]), "5m")).above(0.0);
    let open_at_envoy = sum_by(["cluster", "gateway"], grown(&envoy::PROCESSOR_FAIL_OPEN.with([]), "5m")).above(0.0);
    let says = (
        "Requests pass the firewall unseen",
        "{{ $value | humanize }} in five minutes could not be judged, and passed.",
    );
    alert(PAGE, "PortcullisFirewallFailsOpen", Urgency::Page, open.or(open_at_envoy), says)
}

fn overloaded() -> Alert {
    let overloaded = sum_by(["cluster", "namespace"], rate(of(Name::Overload).over("5m"))).above(0.0);
    let says = ("The firewall turns requests away", "{{ $value | humanize }} a second: too many are waiting.");
    alert(PAGE, "PortcullisFirewallOverloaded", Urgency::Page, overloaded, says).lasting("2m")
}

fn slow() -> Alert {
    let slow = histogram_quantile(0.99, ["cluster", "namespace", "phase"], of(Name::PhaseSeconds).over("5m"));
    let says = (
        "The firewall is slow ({{ $labels.phase }})",
        "One of 100 requests spends more than {{ $value | humanizeDuration }} there.",
    );
    alert(PAGE, "PortcullisFirewallSlow", Urgency::Ticket, slow.above(SLOW), says).lasting("10m")
}

fn blocks_much() -> Alert {
    let blocked = || of(Name::Transactions).with([is("verdict", "block")]);
    let of_blocked = |range: Ranged| sum_by(PROFILE, rate(range));
    let usual = of_blocked(blocked().over("6h").offset("10m"));
    let surge =
        of_blocked(blocked().over("10m")).above(FEWEST).unless((of_blocked(blocked().over("10m")) / usual).below(5.0));
    let says = (
        "{{ $labels.profile }} blocks far more than usual",
        "{{ $value | humanize }} requests a second: an attack, or a rule that meets ordinary requests.",
    );
    alert(PAGE, "PortcullisFirewallBlocksMuch", Urgency::Ticket, surge, says).lasting("5m")
}

fn unusable() -> Alert {
    let stale = max_by(PROFILE, of(Name::Unusable).with([])).above(0.0);
    let says = (
        "The firewall's profile {{ $labels.profile }} cannot be used",
        "What was changed in it is not in force. The firewall's log says file, line and directive.",
    );
    alert(PAGE, "PortcullisFirewallProfileUnusable", Urgency::Ticket, stale, says).lasting("5m")
}
