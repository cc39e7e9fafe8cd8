//! One document of the API server: to a resource, or to what is wrong with it, and what else is to be known of it.

use std::sync::Arc;

use api::{
    Kind, Object, ObjectRef, Scope,
    stand_in::{guards, stand_in},
};
use serde_json::{Value, json};

use super::{records::Record, slim::slim};
use crate::source::{Problem, Severity, examine::Finding};

/// What was read of one document.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) reference: Arc<ObjectRef>,
    /// The resource; `None` when its document cannot be read, or only its metadata was asked for.
    pub(super) object: Option<Object>,
    /// Why its document cannot be read.
    pub(super) unreadable: Option<Unreadable>,
    /// What it refers to.
    pub(super) references: Vec<ObjectRef>,
    /// What is wrong with it.
    pub(super) problems: Vec<Problem>,
    /// What a writer of its status has to know.
    pub(super) record: Option<Record>,
    /// The version of this state.
    pub(super) resource_version: Box<str>,
}

/// A resource whose document cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// What is wrong with it.
    pub(super) why: String,
    /// What stands for it where no good version is known.
    pub(super) stand_in: Option<Object>,
}

/// The reference of a document of a kind; `None` when it has no name.
pub(super) fn reference(row: &Kind, document: &Value) -> Option<ObjectRef> {
    let metadata = &document["metadata"];
    let namespace = match row.scope {
        Scope::Cluster => "",
        Scope::Namespaced => metadata["namespace"].as_str()?,
    };
    Some(ObjectRef::new(row.group, row.kind, namespace, metadata["name"].as_str()?))
}

/// Reads the metadata of a document.
pub(super) fn read_metadata(row: &Kind, document: &Value) -> Option<Item> {
    let resource_version = document["metadata"]["resourceVersion"].as_str().unwrap_or_default().into();
    let reference = Arc::new(reference(row, document)?);
    Some(Item {
        reference,
        object: None,
        unreadable: None,
        references: Vec::new(),
        problems: Vec::new(),
        record: None,
        resource_version,
    })
}

/// Reads a document that was served in a version. `None` when it cannot be told whose it is, which no API server sends.
pub(super) fn read(row: &'static Kind, version: &'static str, mut document: Value) -> Option<Item> {
    let mut item = read_metadata(row, &document)?;
    item.record = row.status.then(|| Record::new(version, &item.resource_version, &document["status"]));
    slim(row, &mut document);
    item.references = api::references::find(&document).into_iter().collect();
    // The items of a list lack both.
    document["apiVersion"] = match row.group {
        "" => json!(version),
        group => json!(format!("{group}/{version}")),
    };
    document["kind"] = json!(row.kind);
    // Most documents can be read, and reading takes them.
    let copy = guards(row.kind).then(|| document.clone());
    match api::parse(document) {
        Ok(parsed) => {
            for field in parsed.unknown {
                let what = "unknown field, it has no effect; a newer version of the controller may know it".to_owned();
                item.problems.push(problem(Severity::Warning, &item.reference, &field, what));
            }
            item.object = Some(parsed.object);
        }
        Err(error) => {
            let finding = Finding::from(&error);
            let stand_in = copy.as_ref().and_then(stand_in);
            item.unreadable = Some(Unreadable { why: finding.words(), stand_in });
            let Finding { field, what, .. } = finding;
            let what = format!("{what}; the last good version, if any, stays in force");
            item.problems.push(problem(Severity::Error, &item.reference, &field, what));
        }
    }
    Some(item)
}

fn problem(severity: Severity, reference: &ObjectRef, field: &str, what: String) -> Problem {
    Problem { file: None, line: 0, severity, object: reference.to_string(), field: field.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "gateway.networking.k8s.io";

    fn gateway(port: &Value) -> Item {
        let document = json!({
            "metadata": {"name": "eg", "namespace": "a", "resourceVersion": "42", "managedFields": [{}]},
            "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "port": port, "protocol": "HTTPS",
                "tls": {"certificateRefs": [{"name": "c"}]}}]},
            "status": {"conditions": []},
        });
        read(Kind::find(GROUP, "Gateway").unwrap(), "v1", document).unwrap()
    }

    #[test]
    fn a_list_item_is_read_with_what_it_refers_to() {
        let item = gateway(&json!(443));
        assert_eq!(item.reference.to_string(), "Gateway a/eg");
        assert_eq!(item.object.unwrap().meta().resource_version, None);
        assert_eq!(item.references, [ObjectRef::new("", "Secret", "a", "c")]);
        assert_eq!(&*item.record.unwrap().resource_version, "42");
        assert!(item.problems.is_empty());
    }

    #[test]
    fn a_malformed_one_is_named_with_its_field() {
        let item = gateway(&json!("https"));
        assert!(item.object.is_none());
        let text = item.problems[0].to_string();
        assert!(text.starts_with("Gateway a/eg: spec.listeners[0].port: invalid type"), "{text}");
    }
}
