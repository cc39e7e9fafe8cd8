//! One document of a file: text to resources, or to what is wrong with it.
//!
//! Lines are counted from the document's beginning, so that what was read stays valid when the document moves.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use api::{
    Object, ObjectRef,
    stand_in::{guards, stand_in},
};
use kit::config::{Chunk, Document};
use serde_json::{Value, json};

use crate::source::{
    Problem, Severity,
    examine::{Examined, Finding, describe, examine, reference},
};

/// The label that the API server puts on every namespace.
pub(super) const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// One resource of a document.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) reference: Arc<ObjectRef>,
    /// The resource; with its generation once it has one. It is the bulk of what is remembered, so it is held once.
    pub(super) object: Mutex<Object>,
    /// A hash of all but the metadata: another one is another generation.
    pub(super) body: u64,
    /// Where it begins, from the document's first line (1).
    pub(super) line: usize,
    /// Why the document cannot be read; the resource only stands in for it ([`stand_in`]).
    pub(super) unreadable: Option<Box<str>>,
}

impl Entry {
    /// The resource with this generation.
    pub(super) fn with_generation(&self, generation: i64) -> Object {
        let mut object = self.object.lock().unwrap_or_else(PoisonError::into_inner);
        if object.meta().generation != Some(generation) {
            *object = object.clone().with_generation(generation);
        }
        object.clone()
    }
}

/// What a document came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) entries: Vec<Arc<Entry>>,
    /// Resources that the document means but does not say well: their last good version stays.
    pub(super) refused: Vec<Refused>,
    /// It cannot be said which resources the document means.
    pub(super) unreadable: bool,
    pub(super) problems: Vec<Problem>,
}

/// A resource that a document does not say well.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reference: ObjectRef,
    /// What stands for it where there is no good version.
    pub(super) stand_in: Option<Arc<Entry>>,
}

/// Reads one document.
pub(super) fn read(file: &Arc<str>, text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    match Document::parse(file, &Chunk { lines_before: 0, text }) {
        Ok(document) => {
            let reader = Reader { file, document: &document };
            reader.read(document.to_json(), "", &mut outcome);
        }
        Err(finding) => {
            outcome.unreadable = true;
            outcome.problems.push(Problem {
                file: Some(Arc::clone(file)),
                line: finding.at.map_or(1, |at| at.line),
                severity: Severity::Error,
                object: guess_name(text),
                field: finding.field,
                what: finding.what,
            });
        }
    }
    outcome
}

/// A resource as it is written, for commands that print it again or name its lines.
#[derive(Clone, Debug)]
pub struct Original {
    /// Which one.
    pub reference: ObjectRef,
    /// What is written.
    pub value: Value,
    /// The file.
    pub file: Arc<str>,
    document: Arc<Document>,
    /// Where in the document it stands; empty for the whole.
    path: String,
}

impl Original {
    /// The line of a field such as `spec.rules[0]`; of what is around it where it is not written.
    pub fn line(&self, field: &str) -> usize {
        self.document.position(&within(&self.path, field)).line
    }
}

/// The resources of a part of a file as they are written.
pub(super) fn originals(file: &Arc<str>, chunk: &Chunk<'_>) -> Vec<Original> {
    let Ok(document) = Document::parse(file, chunk) else { return Vec::new() };
    let document = Arc::new(document);
    let items = match list_items(document.to_json()) {
        Ok(items) => items.into_iter().enumerate().map(|(index, item)| (format!("items[{index}]"), item)).collect(),
        Err(value) => vec![(String::new(), value)],
    };
    let original = |(path, value): (String, Value)| {
        Some(Original {
            reference: reference(&value)?,
            value,
            file: Arc::clone(file),
            document: Arc::clone(&document),
            path,
        })
    };
    items.into_iter().filter_map(original).collect()
}

/// The path of a field of something that stands at a path of its own.
fn within(path: &str, field: &str) -> String {
    match (path, field) {
        ("", field) => field.to_owned(),
        (path, "") => path.to_owned(),
        (path, field) => format!("{path}.{field}"),
    }
}

/// The items of a `List`, as `kubectl get -o yaml` prints it; anything else comes back as it is.
fn list_items(mut value: Value) -> Result<Vec<Value>, Value> {
    if value["kind"] != "List" || value["apiVersion"] != "v1" {
        return Err(value);
    }
    match value["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// A document, and where its places are.
struct Reader<'a> {
    file: &'a Arc<str>,
    document: &'a Document,
}

impl Reader<'_> {
    /// Reads a resource, or a `List` of them, that stands at `path` of the document.
    fn read(&self, value: Value, path: &str, outcome: &mut Outcome) {
        let mut value = match list_items(value) {
            Ok(items) if path.is_empty() => {
                for (index, item) in items.into_iter().enumerate() {
                    self.read(item, &format!("items[{index}]"), outcome);
                }
                return;
            }
            // A list in a list is nothing that anybody writes.
            Ok(_) => Value::Null,
            Err(value) => value,
        };
        let name = describe(&value);
        let refused = reference(&value);
        label_namespace(&mut value);
        let body = body_hash(&value);
        let line = self.document.position(path).line;
        let entry = |object: Object, unreadable| {
            let reference = Arc::new(object.reference());
            Arc::new(Entry { reference, object: Mutex::new(object), body, line, unreadable })
        };
        let copy = refused.as_ref().is_some_and(|refused| guards(&refused.kind)).then(|| value.clone());
        let Examined { object, findings } = examine(value);
        let why = || findings.iter().find(|finding| finding.severity == Severity::Error).map(Finding::words);
        let stand_in = || Some(entry(stand_in(copy.as_ref()?)?, Some(why()?.into())));
        let stand_in = if object.is_none() { stand_in() } else { None };
        for Finding { severity, field, what } in findings {
            outcome.unreadable |= severity == Severity::Error && refused.is_none();
            outcome.problems.push(self.problem(severity, path, &name, &field, what));
        }
        match object {
            Some(object) => outcome.entries.push(entry(object, None)),
            None => outcome.refused.extend(refused.map(|reference| Refused { reference, stand_in })),
        }
    }

    fn problem(&self, severity: Severity, path: &str, object: &str, field: &str, what: String) -> Problem {
        let place = within(path, field);
        Problem {
            file: Some(Arc::clone(self.file)),
            line: self.document.position(&place).line,
            severity,
            object: object.to_owned(),
            field: field.to_owned(),
            what,
        }
    }
}

/// `Kind name` from the text of a document that is no YAML: the first `kind:` and the first `name:` below it.
fn guess_name(text: &str) -> String {
    let value_of = |line: &str, key: &str| -> Option<String> {
        let value = line.trim_start().strip_prefix(key)?.trim();
        let plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "-._".contains(c));
        plain.then(|| value.to_owned())
    };
    let kind = text.lines().find_map(|line| value_of(line, "kind:").filter(|_| line.starts_with("kind:")));
    let name = text.lines().find_map(|line| value_of(line, "name:"));
    format!("{} {}", kind.unwrap_or_default(), name.unwrap_or_default()).trim().to_owned()
}

/// As on the API server, a namespace can be selected by its name.
fn label_namespace(value: &mut Value) {
    if value["kind"] != "Namespace" || value["apiVersion"] != "v1" {
        return;
    }
    let name = value["metadata"]["name"].clone();
    let Some(metadata) = value["metadata"].as_object_mut() else { return };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if labels.is_null() {
        *labels = json!({});
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(NAMESPACE_LABEL.to_owned(), name);
    }
}

fn body_hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        if key != "metadata" && key != "status" {
            key.hash(&mut hasher);
            value.hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Outcome {
        read(&Arc::from("a.yaml"), text)
    }

    fn problems(text: &str) -> Vec<String> {
        outcome(text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_wrong_field_is_named_with_its_line() {
        let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg}\n\
            spec:\n  gatewayClassName: eg\n  listeners:\n  - name: http\n    port: eighty\n    protocol: HTTP\n";
        let found = outcome(text);
        assert_eq!(found.refused[0].reference.to_string(), "Gateway default/eg");
        let text = found.problems[0].to_string();
        assert!(text.starts_with("a.yaml:8: Gateway default/eg: spec.listeners[0].port: invalid type"), "{text}");
    }

    #[test]
    fn unknown_fields_are_warnings_at_their_line() {
        let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg}\n\
            spec:\n  gatewayClassName: eg\n  listeners:\n  - name: http\n    port: 80\n    prot: 7\n    protocol: HTTP\n";
        let found = outcome(text);
        assert_eq!(found.entries.len(), 1);
        assert_eq!(found.problems[0].severity, Severity::Warning);
        assert!(found.problems[0].to_string().starts_with("a.yaml:9: Gateway default/eg: spec.listeners[0].prot: "));
    }

    #[test]
    fn what_is_no_yaml_is_named_as_well_as_can_be() {
        let found = problems("apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\nspec: [\n");
        assert!(found[0].contains(": Service shop: "), "{found:?}");
    }

    #[test]
    fn lists_are_read_and_their_lines_told() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n\
            - apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n  spec: {ports: 7}\n";
        let found = outcome(text);
        assert_eq!(found.entries[0].line, 4);
        assert_eq!(found.refused[0].reference.to_string(), "Service default/b");
        assert!(found.problems[0].to_string().starts_with("a.yaml:10: Service default/b: spec.ports: "));
    }

    #[test]
    fn foreign_kinds_are_noted_and_ours_are_errors() {
        let severity = |text: &str| outcome(text).problems[0].severity;
        assert_eq!(severity("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}"), Severity::Note);
        assert_eq!(
            severity("{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: Backendd, metadata: {name: a}}"),
            Severity::Error
        );
    }

    #[test]
    fn a_namespace_can_be_selected_by_its_name() {
        let found = outcome("{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: null}}");
        let labels = found.entries[0].with_generation(1).meta().labels.clone().unwrap();
        assert_eq!(labels[NAMESPACE_LABEL], "a");
    }
}
