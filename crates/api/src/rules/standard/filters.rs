//! Filters of routes of HTTP and gRPC.

use serde_json::Value;

use super::{
    super::check::{items_of, port, set},
    *,
};

/// The types of filters, with the field that each has its settings in.
const TYPES: [(&str, &str); 8] = [
    ("RequestHeaderModifier", "requestHeaderModifier"),
    ("ResponseHeaderModifier", "responseHeaderModifier"),
    ("RequestMirror", "requestMirror"),
    ("RequestRedirect", "requestRedirect"),
    ("URLRewrite", "urlRewrite"),
    ("ExtensionRef", "extensionRef"),
    ("CORS", "cors"),
    ("ExternalAuth", "externalAuth"),
];

/// The filters of an `HTTPRoute` at this path.
pub(super) fn http(path: &str) -> Vec<Row> {
    let mut rows = grpc(path);
    rows.push(rule(path, redirect_or_rewrite));
    let mut filter = vec![
        row("requestRedirect.hostname", text(&format::DNS_NAME)),
        row("requestRedirect.port", port()),
        row("urlRewrite.hostname", text(&format::DNS_NAME)),
        row("externalAuth.grpc.allowedHeaders", Check::Items(0, 64)),
        row("externalAuth.http.allowedHeaders", Check::Items(0, 64)),
        row("externalAuth.http.allowedResponseHeaders", Check::Items(0, 64)),
        row("externalAuth.http.path", text(&format::URL_PATH)),
        rule("externalAuth", external_auth),
        row("cors.allowOrigins[]", text(&format::ORIGIN)),
        row("cors.allowMethods", Check::Items(0, 9)),
        row("cors.maxAge", Check::Range(Some(1.0), None)),
    ];
    for field in [
        "externalAuth.grpc.allowedHeaders",
        "externalAuth.http.allowedHeaders",
        "externalAuth.http.allowedResponseHeaders",
    ] {
        filter.push(row(field, set()));
    }
    for list in ["allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"] {
        let path = format!("cors.{list}");
        filter.push(row(&path, set()));
        if list != "allowMethods" {
            filter.push(row(&path, Check::Items(0, 64)));
        }
        if list != "exposeHeaders" {
            filter.push(rule(&path, star_alone));
        }
        if list.ends_with("Headers") {
            filter.push(row(&format!("{path}[]"), text(&format::HEADER_NAME)));
        }
    }
    for field in ["requestRedirect.path", "urlRewrite.path"] {
        filter.push(row(&format!("{field}.replaceFullPath"), length(0, 1024)));
        filter.push(row(&format!("{field}.replacePrefixMatch"), length(0, 1024)));
        filter.push(rule(field, path_modifier));
    }
    filter.extend(refs::backend("externalAuth.backendRef"));
    rows.extend(under(&format!("{path}[]"), filter));
    rows
}

/// The filters of a `GRPCRoute` at this path, which an `HTTPRoute` has too.
pub(super) fn grpc(path: &str) -> Vec<Row> {
    let mut filter = refs::backend("requestMirror.backendRef");
    filter.extend(under("extensionRef", refs::local()));
    for modifier in ["requestHeaderModifier", "responseHeaderModifier"] {
        for list in ["set", "add"] {
            let path = format!("{modifier}.{list}");
            filter.push(row(&path, Check::Items(0, 16)));
            filter.push(row(&path, distinct("name")));
            filter.push(row(&format!("{path}[].name"), text(&format::HEADER_NAME)));
            filter.push(row(&format!("{path}[].value"), text(&format::HEADER_VALUE)));
        }
        filter.push(row(&format!("{modifier}.remove"), Check::Items(0, 16)));
        filter.push(row(&format!("{modifier}.remove"), set()));
    }
    filter.extend([
        rule("requestMirror", percent_or_fraction),
        row("requestMirror.percent", range(0, 100)),
        row("requestMirror.fraction.numerator", Check::Range(Some(0.0), None)),
        row("requestMirror.fraction.denominator", Check::Range(Some(1.0), None)),
        rule("requestMirror.fraction", fraction),
        rule("", value_fits_type),
    ]);
    let mut rows = under(&format!("{path}[]"), filter);
    rows.push(row(path, Check::Items(0, 16)));
    rows.push(rule(path, once_each));
    rows
}

fn value_fits_type(filter: &Value, report: &mut Report<'_>) {
    let name = text_of(filter, "type");
    for (this, field) in TYPES {
        match (this == name, has(filter, field)) {
            (true, false) => report.add(field, format!("is missing; a filter of type {name} needs it")),
            (false, true) => report.add(field, format!("does not belong to a filter of type {name}; make two filters")),
            _ => {}
        }
    }
}

fn of_type<'a>(filters: &'a Value, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let filters = filters.as_array().map_or(&[][..], Vec::as_slice);
    (0..filters.len()).filter(move |index| text_of(&filters[*index], "type") == name)
}

fn once_each(filters: &Value, report: &mut Report<'_>) {
    for name in ["CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"] {
        for index in of_type(filters, name).skip(1) {
            report.add(&format!("[{index}]"), format!("there is a filter of type {name} already; make it one"));
        }
    }
}

fn redirect_or_rewrite(filters: &Value, report: &mut Report<'_>) {
    if let (Some(_), Some(index)) = (of_type(filters, "RequestRedirect").next(), of_type(filters, "URLRewrite").next())
    {
        report
            .add(&format!("[{index}]"), "a request that is redirected is not rewritten; remove one of the two filters");
    }
}

fn star_alone(list: &Value, report: &mut Report<'_>) {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    if items.len() > 1 && items.iter().any(|item| item == "*") {
        report.add("", "'*' stands for all; remove the others, or remove it");
    }
}

fn external_auth(auth: &Value, report: &mut Report<'_>) {
    for (protocol, field) in [("GRPC", "grpc"), ("HTTP", "http")] {
        match (text_of(auth, "protocol") == protocol, has(auth, field)) {
            (true, false) => report.add(field, format!("is missing; `protocol: {protocol}` needs it")),
            (false, true) => report.add(field, format!("is for `protocol: {protocol}` only; remove it")),
            _ => {}
        }
    }
}

fn percent_or_fraction(mirror: &Value, report: &mut Report<'_>) {
    if has(mirror, "percent") && has(mirror, "fraction") {
        report.add("", "set one of `percent` and `fraction`, not both");
    }
}

fn fraction(fraction: &Value, report: &mut Report<'_>) {
    let number = |field| fraction.get(field).and_then(Value::as_i64);
    if number("numerator").unwrap_or(0) > number("denominator").unwrap_or(100) {
        report.add("numerator", "must not be greater than `denominator` (100 unless set)");
    }
}

fn path_modifier(path: &Value, report: &mut Report<'_>) {
    for (name, field) in [("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch")] {
        match (text_of(path, "type") == name, has(path, field)) {
            (true, false) => report.add(field, format!("is missing; `type: {name}` needs it")),
            (false, true) => report.add(field, format!("is for `type: {name}` only; remove it")),
            _ => {}
        }
    }
}

/// A rule that redirects has no use for back ends.
pub(super) fn redirect_or_backend(rule: &Value, report: &mut Report<'_>) {
    let redirects = items_of(rule, "filters").iter().any(|filter| has(filter, "requestRedirect"));
    if redirects && !items_of(rule, "backendRefs").is_empty() {
        report.add(
            "backendRefs",
            "a rule that redirects sends nothing to back ends; remove them, or the RequestRedirect filter",
        );
    }
}

/// A prefix can only be replaced where one was matched: the rule has one match, and that is by prefix.
pub(super) fn prefix_needs_prefix(rule: &Value, report: &mut Report<'_>) {
    let matches = rule.get("matches").and_then(Value::as_array);
    let by_prefix = |path: &Value| !has(path, "type") || text_of(path, "type") == "PathPrefix";
    // Without matches, and in a match without a path, the prefix is "/".
    let fits = matches.is_none_or(|matches| matches.len() == 1 && matches[0].get("path").is_none_or(by_prefix));
    if fits {
        return;
    }
    let backends = items_of(rule, "backendRefs").iter().enumerate();
    let below =
        backends.map(|(index, backend)| (format!("backendRefs[{index}].filters"), items_of(backend, "filters")));
    for (path, filters) in std::iter::once(("filters".to_owned(), items_of(rule, "filters"))).chain(below) {
        for (index, filter) in filters.iter().enumerate() {
            for field in ["requestRedirect", "urlRewrite"] {
                let replaces = |path: &Value| text_of(path, "type") == "ReplacePrefixMatch";
                if filter.get(field).and_then(|value| value.get("path")).is_some_and(replaces) {
                    let message = "replaces a prefix, so the rule needs exactly one match, of `type: PathPrefix`";
                    report.add(&format!("{path}[{index}].{field}.path"), message);
                }
            }
        }
    }
}
