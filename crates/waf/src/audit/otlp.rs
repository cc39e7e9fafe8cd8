//! What collectors are told of an entry.

use kit::otlp::{Severity, Value};

use super::entry::Entry;

/// How bad it is.
pub(super) fn severity(entry: &Entry) -> Severity {
    match entry.verdict.as_str() {
        "failure" => Severity::Error,
        "block" | "detect" => Severity::Warn,
        _ => Severity::Info,
    }
}

/// What is searched for.
pub(super) fn attributes(entry: Entry) -> Vec<(&'static str, Value)> {
    let Entry { id, client, method, host, route, profile, verdict, status, score, rules, .. } = entry;
    let mut attributes = vec![
        ("client.address", Value::Text(client)),
        ("server.address", Value::Text(host)),
        ("http.request.method", Value::Text(method)),
        ("waf.request", Value::Text(id)),
        ("waf.route", Value::Text(route)),
        ("waf.profile", Value::Text(profile)),
        ("waf.verdict", Value::Text(verdict)),
        ("waf.score", Value::Number(score.into())),
        ("waf.rules", Value::Numbers(rules.iter().map(|found| found.rule.into()).collect())),
    ];
    attributes.extend(status.map(|status| ("http.response.status_code", Value::Number(status.into()))));
    attributes
}
