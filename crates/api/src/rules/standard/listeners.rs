//! The listeners of gateways and listener sets.

use serde_json::Value;

use super::{
    super::check::{items_of, port},
    *,
};

/// One listener.
pub(super) fn listener() -> Vec<Row> {
    let mut rows = vec![
        row("name", text(&format::DNS_NAME)),
        row("hostname", text(&format::HOSTNAME)),
        row("port", port()),
        row("protocol", text(&format::PROTOCOL)),
        row("allowedRoutes.kinds", Check::Items(0, 8)),
        row("allowedRoutes.kinds[].group", text(&format::GROUP)),
        row("allowedRoutes.kinds[].kind", text(&format::KIND)),
        row("tls.certificateRefs", Check::Items(0, 64)),
        row("tls.options", Check::Entries(16)),
        row("tls.options{}", length(0, 4096)),
        rule("tls", terminates_with_certificate),
        // "" is the listener itself.
        rule("", tls_fits_protocol),
        rule("", hostname_fits_protocol),
    ];
    rows.extend(under("tls.certificateRefs[]", refs::object()));
    rows
}

/// How TLS is treated: it's terminated unless set.
fn terminates(tls: &Value) -> bool {
    !has(tls, "mode") || text_of(tls, "mode") == "Terminate"
}

fn terminates_with_certificate(tls: &Value, report: &mut Report<'_>) {
    let options = tls.get("options").and_then(Value::as_object).is_some_and(|options| !options.is_empty());
    if terminates(tls) && items_of(tls, "certificateRefs").is_empty() && !options {
        report.add("certificateRefs", "is missing; terminating TLS needs a certificate (or set `mode` to Passthrough)");
    }
}

fn tls_fits_protocol(listener: &Value, report: &mut Report<'_>) {
    let protocol = text_of(listener, "protocol");
    let tls = listener.get("tls").filter(|tls| !tls.is_null());
    match (protocol, tls) {
        ("HTTP" | "TCP" | "UDP", Some(_)) => {
            let secure = if protocol == "HTTP" { "HTTPS" } else { "TLS" };
            report.add("tls", format!("a listener of protocol {protocol} has no TLS; remove it, or use {secure}"));
        }
        ("HTTPS", Some(tls)) if !terminates(tls) => {
            report.add("tls.mode", "HTTPS is terminated here; use the protocol TLS to pass it through");
        }
        ("TLS", None) => report.add("tls", "is missing; a listener of protocol TLS needs it"),
        _ => {}
    }
}

fn hostname_fits_protocol(listener: &Value, report: &mut Report<'_>) {
    let protocol = text_of(listener, "protocol");
    if matches!(protocol, "TCP" | "UDP") && !text_of(listener, "hostname").is_empty() {
        report.add("hostname", format!("{protocol} has no host names; remove it"));
    }
}

/// No two listeners share a port, protocol and host name.
pub(super) fn distinct_listeners(listeners: &Value, report: &mut Report<'_>) {
    let listeners = listeners.as_array().map_or(&[][..], Vec::as_slice);
    let key = |listener: &Value| ["port", "protocol", "hostname"].map(|field| listener.get(field).cloned());
    for (index, listener) in listeners.iter().enumerate().filter(|(_, listener)| has(listener, "port")) {
        if let Some(earlier) = listeners[..index].iter().find(|earlier| key(earlier) == key(listener)) {
            let name = text_of(earlier, "name");
            let message = format!("has the port, protocol and hostname of the listener {name:?}; change one of them");
            report.add(&format!("[{index}]"), message);
        }
    }
}
