//! The five kinds of routes.

use serde_json::Value;

use super::{super::check::items_of, *};
use crate::ext::duration;

/// An `HTTPRoute`.
pub(super) fn http() -> Vec<Row> {
    let mut rows = named(16);
    rows.extend(layer_seven());
    rows.extend(filters::http("spec.rules[].filters"));
    rows.extend(filters::http("spec.rules[].backendRefs[].filters"));
    rows.extend(under("spec.rules[].matches[]", matches::http()));
    rows.extend([
        row("spec.rules", Check::Items(1, 16)),
        rule("spec.rules[]", filters::redirect_or_backend),
        rule("spec.rules[]", filters::prefix_needs_prefix),
        row("spec.rules[].timeouts.request", text(&format::DURATION)),
        row("spec.rules[].timeouts.backendRequest", text(&format::DURATION)),
        rule("spec.rules[].timeouts", timeouts),
        row("spec.rules[].retry.attempts", Check::Range(Some(1.0), None)),
        row("spec.rules[].retry.backoff", text(&format::DURATION)),
        row("spec.rules[].retry.codes", super::super::check::set()),
        row("spec.rules[].retry.codes[]", range(400, 599)),
    ]);
    rows
}

/// A `GRPCRoute`.
pub(super) fn grpc() -> Vec<Row> {
    let mut rows = named(16);
    rows.extend(layer_seven());
    rows.extend(filters::grpc("spec.rules[].filters"));
    rows.extend(filters::grpc("spec.rules[].backendRefs[].filters"));
    rows.extend(under("spec.rules[].matches[]", matches::grpc()));
    rows.push(row("spec.rules", Check::Items(0, 16)));
    rows
}

/// A `TLSRoute`.
pub(super) fn tls() -> Vec<Row> {
    let mut rows = transport();
    rows.extend(named(1024));
    rows.extend([
        row("spec", Check::Required(vec!["hostnames".to_owned()])),
        row("spec.hostnames", Check::Items(1, 1024)),
        rule("spec.hostnames[]", no_address),
    ]);
    rows
}

/// A `TCPRoute` or `UDPRoute`, and what a `TLSRoute` shares with them.
pub(super) fn transport() -> Vec<Row> {
    let mut rows = refs::parents();
    rows.extend(refs::backend("spec.rules[].backendRefs[]"));
    rows.extend([
        row("spec.rules", Check::Items(1, 1)),
        row("spec.rules[].name", text(&format::DNS_NAME)),
        row("spec.rules[].backendRefs", Check::Items(1, 16)),
    ]);
    rows
}

fn named(most: usize) -> Vec<Row> {
    vec![row("spec.hostnames", Check::Items(0, most)), row("spec.hostnames[]", text(&format::HOSTNAME))]
}

/// What routes of HTTP and gRPC share.
fn layer_seven() -> Vec<Row> {
    let mut rows = refs::parents();
    rows.extend(refs::backend("spec.rules[].backendRefs[]"));
    rows.extend([
        row("spec.rules[].name", text(&format::DNS_NAME)),
        rule("spec.rules", distinct_names),
        rule("spec.rules", few_matches),
        row("spec.rules[].matches", Check::Items(0, 64)),
        row("spec.rules[].backendRefs", Check::Items(0, 16)),
        row("spec.rules[].sessionPersistence.absoluteTimeout", text(&format::DURATION)),
        row("spec.rules[].sessionPersistence.sessionName", length(0, 128)),
        rule("spec.rules[].sessionPersistence", session_persistence),
    ]);
    rows
}

fn no_address(hostname: &Value, report: &mut Report<'_>) {
    if hostname.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()) {
        report.add("", format!("{hostname} is an address; TLS names hosts by DNS names only"));
    }
}

fn distinct_names(rules: &Value, report: &mut Report<'_>) {
    let rules = rules.as_array().map_or(&[][..], Vec::as_slice);
    for (index, rule) in rules.iter().enumerate() {
        let name = text_of(rule, "name");
        if !name.is_empty() && rules[..index].iter().any(|earlier| text_of(earlier, "name") == name) {
            report.add(&format!("[{index}].name"), format!("{name:?} names an earlier rule already; choose another"));
        }
    }
}

fn few_matches(rules: &Value, report: &mut Report<'_>) {
    let rules = rules.as_array().map_or(&[][..], Vec::as_slice);
    let matches: usize = rules.iter().map(|rule| items_of(rule, "matches").len()).sum();
    if matches > 128 {
        report.add("", format!("has {matches} matches in all, and may have at most 128; make two routes"));
    }
}

fn timeouts(timeouts: &Value, report: &mut Report<'_>) {
    let length = |field| duration::parse(text_of(timeouts, field)).ok();
    let (Some(request), Some(backend)) = (length("request"), length("backendRequest")) else { return };
    // A request time-out of zero is none.
    if !request.is_zero() && backend > request {
        report.add("backendRequest", "is longer than `request`, which covers it; make it shorter, or `request` longer");
    }
}

fn session_persistence(session: &Value, report: &mut Report<'_>) {
    let Some(cookie) = session.get("cookieConfig").filter(|cookie| !cookie.is_null()) else { return };
    if has(session, "type") && text_of(session, "type") != "Cookie" {
        report.add("cookieConfig", "is for `type: Cookie` only; remove it");
    }
    if text_of(cookie, "lifetimeType") == "Permanent" && !has(session, "absoluteTimeout") {
        report.add("absoluteTimeout", "is missing; a cookie with `lifetimeType: Permanent` needs an end");
    }
}
