//! One good document a kind, and for each rule a change that breaks it.

mod extensions;
mod gateways;
mod routes;

use serde_json::{Value, json};

use super::check;
use crate::{KINDS, Kind};

/// A change of a good document, where the violation is told, and words of it.
type Case = (&'static str, Value, &'static str, &'static str);

/// A document of a kind with this spec.
#[allow(clippy::needless_pass_by_value)]
fn document(kind: &str, spec: Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": spec, "kind": kind})
}

/// Puts a value at a path such as `spec.rules[0].name`; null takes it out.
fn put(document: &mut Value, path: &str, value: Value) {
    let steps = path.replace('[', ".[");
    let steps: Vec<_> = steps.split('.').filter(|step| !step.is_empty()).collect();
    let place = steps.iter().fold(document, |place, step| match step.strip_prefix('[') {
        Some(index) => {
            let index = index.trim_end_matches(']').parse::<usize>().unwrap();
            if place.is_null() {
                *place = json!([]);
            }
            let list = place.as_array_mut().unwrap();
            list.resize(list.len().max(index + 1), Value::Null);
            &mut list[index]
        }
        None => &mut place[*step],
    });
    *place = value;
}

/// The good document has no violation, and each change makes exactly the one that is expected.
fn table(kind: &str, spec: Value, cases: &[Case]) {
    table_at(kind, spec, "", cases);
}

/// As [`table`], with all paths below one. `=` is the place that was changed.
fn table_at(kind: &str, spec: Value, below: &str, cases: &[Case]) {
    let kind: &'static Kind = KINDS.iter().find(|row| row.kind == kind).unwrap();
    let good = document(kind.kind, spec);
    assert_eq!(check(&good, kind), []);
    let full = |path: &str| [below, path].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(".");
    for (path, value, violation, words) in cases {
        let mut bad = good.clone();
        put(&mut bad, &full(path), value.clone());
        let found = check(&bad, kind);
        let violation = full(if *violation == "=" { path } else { violation });
        let fits = found.len() == 1 && found[0].path == violation && found[0].message.contains(words);
        assert!(fits, "{} {below} {path} = {value}: {found:?}", kind.kind);
    }
}

fn many(item: &Value, count: usize) -> Value {
    Value::Array(vec![item.clone(); count])
}

/// So many items that differ in their names.
fn named(item: &Value, count: usize) -> Value {
    let item = |index| {
        let mut item = item.clone();
        item["name"] = json!(format!("n{index}"));
        item
    };
    Value::Array((0..count).map(item).collect())
}

#[test]
fn every_form_is_compiled_and_every_kind_has_a_tree() {
    for format in super::format::ALL {
        assert!(regex::Regex::new(format.pattern).is_ok(), "{}", format.pattern);
    }
    for kind in KINDS {
        assert!(!check(&json!({"metadata": {}}), kind).is_empty(), "{}", kind.kind);
    }
}

#[test]
fn metadata_is_checked_for_all_kinds() {
    table(
        "ConfigMap",
        json!(null),
        &[
            ("metadata.name", json!(null), "metadata.name", "is required"),
            ("metadata.name", json!("A"), "metadata.name", "DNS name"),
            ("metadata.namespace", json!("a.b"), "metadata.namespace", "DNS label"),
            ("metadata.labels", json!({"a/b/c": "x"}), "metadata.labels", "key of a label"),
            ("metadata.labels", json!({"a": "-"}), "metadata.labels.a", "value of a label"),
            ("metadata.annotations", json!({"-": "x"}), "metadata.annotations", "key of a label"),
        ],
    );
    table("Service", json!(null), &[("metadata.name", json!("a.b"), "metadata.name", "DNS label")]);
}

#[test]
fn a_null_is_no_field() {
    let mut route = document("HTTPRoute", routes::http());
    put(&mut route, "spec.rules[0].timeouts", json!(null));
    put(&mut route, "spec.hostnames", json!(null));
    assert_eq!(check(&route, Kind::find(crate::gateway::GROUP, "HTTPRoute").unwrap()), []);
}
