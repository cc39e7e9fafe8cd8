//! People who cannot log in, or do nothing else.

use grafana_dashboard_builder::promql::{is, is_not, matches, max_by, rate, sum_by};
use grafana_dashboard_builder::rules::Group;
use oidc::metrics::Name;

use super::{Urgency, alert, grown};
use crate::catalogue::of;
use crate::envoy;

const PAGE: &str = "single-sign-on";
const SERVICE: [&str; 2] = ["cluster", "namespace"];
const PROVIDER: [&str; 3] = ["cluster", "namespace", "provider"];

pub(super) fn groups() -> Vec<Group> {
    vec![providers(), sessions()]
}

fn providers() -> Group {
    // What the person or the provider decided (grant, refused) is no failure of the provider.
    let failing = of(Name::ProviderErrors).with([matches("kind", "unavailable|client|invalid")]);
    let refreshes = |matcher| sum_by(PROVIDER, rate(of(Name::Refreshes).with([matcher]).over("15m")));
    let not_renewed = refreshes(is_not("outcome", "renewed")) / refreshes(is_not("outcome", ""));
    Group::new("portcullis-providers")
        .alert(
            alert(
                PAGE,
                "PortcullisProviderErrors",
                Urgency::Page,
                sum_by(["cluster", "namespace", "provider", "kind"], grown(&failing, "10m")).above(2.0),
                (
                    "The provider {{ $labels.provider }} fails ({{ $labels.kind }})",
                    "{{ $value | humanize }} times in ten minutes: logins, keys (JWKS) or renewals.",
                ),
            )
            .lasting("2m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisRefreshFailures",
                Urgency::Ticket,
                not_renewed.above(0.1),
                (
                    "Tokens of {{ $labels.provider }} are not renewed",
                    "{{ $value | humanizePercentage }} of the renewals fail; refused ones end the session.",
                ),
            )
            .lasting("15m"),
        )
}

fn sessions() -> Group {
    let done = || sum_by(SERVICE, rate(of(Name::Logins).with([is("outcome", "done")]).over("10m")));
    let used = sum_by(SERVICE, rate(of(Name::Checks).with([is("outcome", "session")]).over("10m")));
    // Whoever has logged in comes with the session at once, and then again and again; in a loop, nobody ever does.
    let in_a_loop = done().above(0.1).unless((used / done()).at_least(0.5));
    let store = max_by(SERVICE, of(Name::BreakerOpen)).above(0.0);
    let open = sum_by(["cluster", "gateway"], grown(&envoy::AUTHORIZATION_FAIL_OPEN.with([]), "5m")).above(0.0);
    Group::new("portcullis-sessions")
        .alert(
            alert(
                PAGE,
                "PortcullisLoginLoop",
                Urgency::Page,
                in_a_loop,
                (
                    "Logins do not last",
                    "{{ $value | humanize }} logins a second are finished, and hardly a request \
                 comes with a session.",
                ),
            )
            .lasting("5m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisSessionStoreDown",
                Urgency::Page,
                store,
                (
                    "Redis does not answer single sign-on",
                    "Sessions in it cannot be read: those who are logged in get \
                 errors.",
                ),
            )
            .lasting("1m"),
        )
        .alert(alert(
            PAGE,
            "PortcullisAuthorizationFailsOpen",
            Urgency::Page,
            open,
            (
                "Requests of {{ $labels.gateway }} pass unchecked",
                "{{ $value | humanize }} in five minutes: the \
             authorization service did not answer, and the policy says `failOpen`.",
            ),
        ))
}
