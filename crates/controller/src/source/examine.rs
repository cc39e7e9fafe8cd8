//! What can be said of one document by itself: a resource, or what is wrong with it. Files and the webhook say the same.

use api::{Object, ObjectRef, ParseError, Scope, parse::kind_of};
use serde_json::Value;

use super::{Severity, problem::split_field};

/// What a document is.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The resource; `None` when there is an error, or it's none of our business.
    pub(crate) object: Option<Object>,
    /// What is to be said about it.
    pub(crate) findings: Vec<Finding>,
}

/// Something to say about a document.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The path of the field, or empty.
    pub(crate) field: String,
    /// What is wrong, and what is allowed.
    pub(crate) what: String,
}

/// Reads a document, by the schema and the rules of its kind.
pub(crate) fn examine(document: Value) -> Examined {
    let violations = kind_of(&document).map(|kind| api::rules::check(&document, kind)).unwrap_or_default();
    match api::parse(document) {
        Ok(_) if !violations.is_empty() => {
            let finding = |found: api::rules::Violation| Finding {
                severity: Severity::Error,
                field: found.path,
                what: found.message,
            };
            Examined { object: None, findings: violations.into_iter().map(finding).collect() }
        }
        Ok(parsed) => {
            let unknown = |field: String| Finding {
                severity: Severity::Warning,
                field,
                what: "unknown field, it has no effect; remove or rename it".to_owned(),
            };
            Examined { object: Some(parsed.object), findings: parsed.unknown.into_iter().map(unknown).collect() }
        }
        Err(error) => Examined { object: None, findings: vec![Finding::from(&error)] },
    }
}

impl Finding {
    /// The field and what is wrong with it.
    pub(crate) fn words(&self) -> String {
        match self.field.as_str() {
            "" => self.what.clone(),
            field => format!("{field}: {}", self.what),
        }
    }
}

impl From<&ParseError> for Finding {
    fn from(error: &ParseError) -> Self {
        let text = error.to_string();
        let (field, what) = match error {
            ParseError::Field(_) => split_field(&text),
            _ => ("", text.as_str()),
        };
        Self { severity: severity(error), field: field.to_owned(), what: what.to_owned() }
    }
}

/// A document of a foreign kind is no error: manifests of applications often stand
/// beside those of their routes.
fn severity(error: &ParseError) -> Severity {
    match error {
        ParseError::UnknownKind { api_version, .. } if !is_ours(api_version) => Severity::Note,
        _ => Severity::Error,
    }
}

fn is_ours(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    api::KINDS.iter().any(|kind| !kind.group.is_empty() && !kind.group.ends_with("k8s.io") && kind.group == group)
        || group == api::gateway::GROUP
}

/// The name that a document gives its resource, when kind and name can be told.
pub(crate) fn reference(value: &Value) -> Option<ObjectRef> {
    let kind = kind_of(value).ok()?;
    let metadata = &value["metadata"];
    let namespace = match kind.scope {
        Scope::Cluster => "",
        Scope::Namespaced => metadata["namespace"].as_str().unwrap_or(api::parse::DEFAULT_NAMESPACE),
    };
    Some(ObjectRef::new(kind.group, kind.kind, namespace, metadata["name"].as_str()?))
}

/// `Kind namespace/name`, as far as the document tells.
pub(crate) fn describe(value: &Value) -> String {
    if let Some(reference) = reference(value) {
        return reference.to_string();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&value["kind"]), text(&value["metadata"]["name"])).trim().to_owned()
}
