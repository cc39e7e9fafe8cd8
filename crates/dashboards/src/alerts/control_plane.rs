//! Configuration that is not in force.

use controller::metrics::Name;
use grafana_dashboard_builder::Expr;
use grafana_dashboard_builder::promql::{histogram_quantile, is, max_by, min_by, sum_by};
use grafana_dashboard_builder::rules::Group;
use kit::metrics::Shared;

use super::{Urgency, alert, grown};
use crate::catalogue::of;

const PAGE: &str = "control-plane";

/// 99 of 100 changes have to be acknowledged within so many seconds.
const SLOW: f64 = 10.0;

pub(super) fn groups() -> Vec<Group> {
    let refused = grown(&of(Name::Responses).with([is("outcome", "nack")]), "10m");
    let unreadable = of(Name::Problems).with([is("severity", "error")]);
    let resources = Group::new("portcullis-resources")
        .alert(alert(
            PAGE,
            "PortcullisEnvoyRejectsConfiguration",
            Urgency::Page,
            sum_by(["cluster", "namespace", "fleet", "type"], refused).above(0.0),
            (
                "Envoys of {{ $labels.fleet }} refuse configuration ({{ $labels.type }})",
                "{{ $value | humanize }} times in ten minutes. They keep what they had.",
            ),
        ))
        .alert(
            alert(
                PAGE,
                "PortcullisResourceNotAccepted",
                Urgency::Ticket,
                max_by(["cluster", "namespace", "kind"], of(Name::NotAccepted)).above(0.0),
                (
                    "{{ $value }} resources of the kind {{ $labels.kind }} are not in force as written",
                    "Their statuses say which condition is not well, and why.",
                ),
            )
            .lasting("10m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisDocumentUnreadable",
                Urgency::Ticket,
                max_by(["cluster", "namespace"], unreadable).above(0.0),
                ("{{ $value }} documents cannot be read", "`portcullis status` and the log say which, and where."),
            )
            .lasting("5m"),
        );
    vec![resources, changes(), reloads()]
}

fn changes() -> Group {
    let until_acknowledged =
        histogram_quantile(0.99, ["cluster", "namespace"], of(Name::AcknowledgedSeconds).over("10m"));
    Group::new("portcullis-changes")
        .alert(
            alert(
                PAGE,
                "PortcullisChangesSlow",
                Urgency::Ticket,
                until_acknowledged.above(SLOW),
                (
                    "Changes take {{ $value | humanizeDuration }} to be in force",
                    "From their translation until all Envoys acknowledged them.",
                ),
            )
            .lasting("10m"),
        )
        .alert(
            alert(
                PAGE,
                "PortcullisFleetNotWritten",
                Urgency::Page,
                max_by(["cluster", "namespace", "fleet"], of(Name::ObjectsFailed)).above(0.0),
                (
                    "Objects of {{ $labels.fleet }} cannot be written",
                    "The API server refuses its Deployment, Service or others.",
                ),
            )
            .lasting("5m"),
        )
}

fn reloads() -> Group {
    let not_current =
        min_by(["cluster", "namespace", "instance", "config"], Expr::from(of(Shared::ConfigCurrent))).equals(0.0);
    Group::new("portcullis-configuration-files").alert(
        alert(
            PAGE,
            "PortcullisConfigurationNotUsable",
            Urgency::Ticket,
            not_current,
            (
                "{{ $labels.instance }} cannot use its file ({{ $labels.config }})",
                "The configuration before it is in force. Its log says what to mend.",
            ),
        )
        .lasting("5m"),
    )
}
