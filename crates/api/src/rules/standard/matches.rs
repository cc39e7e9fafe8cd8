//! Which requests a rule is about.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::*;

static PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(format::URL_PATH.pattern).expect("every form's pattern is compiled by a test"));

/// A match of an `HTTPRoute`.
pub(super) fn http() -> Vec<Row> {
    vec![
        row("path.value", length(0, 1024)),
        rule("path", path),
        row("headers", Check::Items(0, 16)),
        row("headers", distinct("name")),
        row("headers[].name", text(&format::HEADER_NAME)),
        row("headers[].value", text(&format::HEADER_VALUE)),
        row("queryParams", Check::Items(0, 16)),
        row("queryParams", distinct("name")),
        row("queryParams[].name", text(&format::HEADER_NAME)),
        row("queryParams[].value", length(1, 1024)),
    ]
}

/// A match of a `GRPCRoute`.
pub(super) fn grpc() -> Vec<Row> {
    vec![
        row("headers", Check::Items(0, 16)),
        row("headers", distinct("name")),
        row("headers[].name", text(&format::HEADER_NAME)),
        row("headers[].value", length(1, 4096)),
        row("method.service", length(0, 1024)),
        row("method.method", length(0, 1024)),
        rule("method", method),
    ]
}

/// Whether a match is by regular expression.
fn is_regex(matching: &Value) -> bool {
    text_of(matching, "type") == "RegularExpression"
}

/// Paths are compared after they are normalized, so one that isn't would never match.
fn path(matching: &Value, report: &mut Report<'_>) {
    if is_regex(matching) || !has(matching, "value") {
        return;
    }
    let value = text_of(matching, "value");
    if !value.starts_with('/') {
        report.add("value", format!("{value:?} must begin with '/'"));
        return;
    }
    let inside = ["//", "/./", "/../", "%2f", "%2F", "#"].into_iter().find(|part| value.contains(part));
    let at_end = ["/..", "/."].into_iter().find(|part| value.ends_with(part));
    if let Some(part) = inside {
        report.add("value", format!("{value:?} must not contain {part:?}, which no normalized path has"));
    } else if let Some(part) = at_end {
        report.add("value", format!("{value:?} must not end with {part:?}, which no normalized path does"));
    } else if !PATH.is_match(value) {
        report.add("value", format!("{value:?} is not {}", format::URL_PATH.words));
    }
}

/// Whether it's a name in a protobuf file.
fn is_identifier(text: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    text.bytes().next().is_some_and(|byte| first(&byte))
        && text.bytes().all(|byte| first(&byte) || byte.is_ascii_digit())
}

fn method(matching: &Value, report: &mut Report<'_>) {
    if !has(matching, "service") && !has(matching, "method") {
        report.add("", "set at least one of `service` and `method`");
    }
    if is_regex(matching) {
        return;
    }
    let (service, method) = (text_of(matching, "service"), text_of(matching, "method"));
    if has(matching, "service") && !service.strip_prefix('.').unwrap_or(service).split('.').all(is_identifier) {
        report.add("service", format!("{service:?} is not the name of a gRPC service, such as my.package.Service"));
    }
    if has(matching, "method") && !is_identifier(method) {
        report.add("method", format!("{method:?} is not the name of a gRPC method: letters, digits and '_'"));
    }
}
