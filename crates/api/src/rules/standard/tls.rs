//! Trust: whose certificates are accepted.

use serde_json::Value;

use super::{super::check::items_of, *};

/// Which client certificates a gateway accepts.
pub(super) fn frontend_validation() -> Vec<Row> {
    let mut rows = under("caCertificateRefs[]", refs::object());
    rows.push(row("caCertificateRefs", Check::Items(1, 16)));
    rows
}

/// A `BackendTLSPolicy`.
pub(super) fn backend_policy() -> Vec<Row> {
    let mut rows = refs::targets();
    rows.extend(under("spec.validation.caCertificateRefs[]", refs::local()));
    rows.extend([
        row("spec.options", Check::Entries(16)),
        row("spec.options{}", length(0, 4096)),
        row("spec.validation.caCertificateRefs", Check::Items(0, 8)),
        row("spec.validation.hostname", text(&format::DNS_NAME)),
        row("spec.validation.wellKnownCACertificates", text(&format::WELL_KNOWN)),
        row("spec.validation.subjectAltNames", Check::Items(0, 5)),
        row("spec.validation.subjectAltNames[].hostname", text(&format::HOSTNAME)),
        row("spec.validation.subjectAltNames[].uri", text(&format::URI)),
        rule("spec.validation", one_trust),
        rule("spec.validation.subjectAltNames[]", subject_alt_name),
    ]);
    rows
}

fn one_trust(validation: &Value, report: &mut Report<'_>) {
    let own = !items_of(validation, "caCertificateRefs").is_empty();
    let well_known = !text_of(validation, "wellKnownCACertificates").is_empty();
    if own == well_known {
        report.add("", "set exactly one of `caCertificateRefs` and `wellKnownCACertificates`");
    }
}

fn subject_alt_name(name: &Value, report: &mut Report<'_>) {
    for (kind, field) in [("Hostname", "hostname"), ("URI", "uri")] {
        let wanted = text_of(name, "type") == kind;
        if wanted == text_of(name, field).is_empty() {
            let message =
                if wanted { "is missing; the `type` asks for it" } else { "does not belong to the `type`; remove it" };
            report.add(field, message);
        }
    }
}
