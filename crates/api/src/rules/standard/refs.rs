//! References to other resources.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{
    super::check::{items_of, port},
    *,
};

static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| compiled(&format::HOSTNAME));
static LABEL_KEY: LazyLock<Regex> = LazyLock::new(|| compiled(&format::LABEL_KEY));

fn compiled(format: &format::Format) -> Regex {
    Regex::new(format.pattern).expect("every form's pattern is compiled by a test")
}

/// Whether it's a host, or a wildcard for hosts.
pub(super) fn is_hostname(text: &str) -> bool {
    HOSTNAME.is_match(text)
}

/// Whether it can be the key of a label.
pub(super) fn is_label_key(text: &str) -> bool {
    LABEL_KEY.is_match(text) && text.split('/').next().is_some_and(|domain| domain.len() < 253)
}

/// An object in the same namespace.
pub(super) fn local() -> Vec<Row> {
    vec![row("group", text(&format::GROUP)), row("kind", text(&format::KIND)), row("name", length(1, 253))]
}

/// An object in any namespace.
pub(super) fn object() -> Vec<Row> {
    let mut rows = local();
    rows.push(row("namespace", text(&format::LABEL)));
    rows
}

/// A back end at this path.
pub(super) fn backend(path: &str) -> Vec<Row> {
    let mut rows = under(path, object());
    rows.push(row(&format!("{path}.port"), port()));
    rows.push(row(&format!("{path}.weight"), range(0, 1_000_000)));
    rows.push(rule(path, service_port));
    rows
}

fn service_port(backend: &Value, report: &mut Report<'_>) {
    let core = text_of(backend, "group").is_empty();
    let service = !has(backend, "kind") || text_of(backend, "kind") == "Service";
    if core && service && !has(backend, "port") {
        report.add("port", "is missing; a reference to a Service needs it");
    }
}

/// The parents of a route.
pub(super) fn parents() -> Vec<Row> {
    let mut rows = under("spec.parentRefs[]", object());
    rows.extend([
        row("spec.parentRefs", Check::Items(0, 32)),
        row("spec.parentRefs[].port", port()),
        row("spec.parentRefs[].sectionName", text(&format::DNS_NAME)),
    ]);
    rows.push(rule("spec", distinct_parents));
    rows
}

/// What makes a parent one resource.
fn parent(reference: &Value) -> [&str; 4] {
    let or = |field, default| if has(reference, field) { text_of(reference, field) } else { default };
    [or("group", GROUP), or("kind", "Gateway"), text_of(reference, "name"), text_of(reference, "namespace")]
}

/// Two references to one parent must name two parts of it, in the same way.
fn distinct_parents(spec: &Value, report: &mut Report<'_>) {
    let parents = items_of(spec, "parentRefs");
    let section = |reference: &Value| text_of(reference, "sectionName").to_owned();
    let port = |reference: &Value| reference.get("port").and_then(Value::as_u64).unwrap_or(0);
    for (index, this) in parents.iter().enumerate() {
        for earlier in parents[..index].iter().filter(|earlier| parent(earlier) == parent(this)) {
            let path = format!("parentRefs[{index}]");
            if section(this) == section(earlier) && port(this) == port(earlier) {
                report.add(&path, "repeats an earlier reference; remove one, or name another `sectionName` or `port`");
            } else if section(this).is_empty() != section(earlier).is_empty()
                || (port(this) == 0) != (port(earlier) == 0)
            {
                report.add(
                    &path,
                    "an earlier reference is to the same parent; set `sectionName`, or `port`, \
                     on all references to it or on none",
                );
            } else {
                continue;
            }
            break;
        }
    }
}

/// The targets of a policy.
pub(super) fn targets() -> Vec<Row> {
    let mut rows = under("spec.targetRefs[]", local());
    rows.extend([
        row("spec.targetRefs", Check::Items(1, 16)),
        row("spec.targetRefs[].sectionName", text(&format::DNS_NAME)),
    ]);
    rows.push(rule("spec", distinct_targets));
    rows
}

fn distinct_targets(spec: &Value, report: &mut Report<'_>) {
    let targets = items_of(spec, "targetRefs");
    let whole = |target: &Value| {
        [text_of(target, "group"), text_of(target, "kind"), text_of(target, "name")].map(str::to_owned)
    };
    let section = |target: &Value| text_of(target, "sectionName").to_owned();
    for (index, this) in targets.iter().enumerate() {
        let path = format!("targetRefs[{index}]");
        let mut same = targets[..index].iter().filter(|earlier| whole(earlier) == whole(this));
        if same.clone().any(|earlier| section(earlier) == section(this)) {
            report.add(&path, "repeats an earlier target; remove one, or name another `sectionName`");
        } else if same.any(|earlier| section(earlier).is_empty() != section(this).is_empty()) {
            report.add(
                &path,
                "an earlier target is the same resource; set `sectionName` on all targets of it or on none",
            );
        }
    }
}
