//! One document, already read as JSON, to one resource.
//!
//! As on the API server an explicit `null` counts as absent, and namespaced resources without a namespace are put into
//! `default`. Fields that the kind does not have are told, not dropped in silence.

use serde_json::Value;

use crate::{KINDS, Kind, Object, RouteKind, Scope};

/// The namespace of a document that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// One resource, and what was odd about its document.
#[derive(Debug)]
pub struct Parsed {
    /// The resource.
    pub object: Object,
    /// The paths of fields that the kind does not have.
    pub unknown: Vec<String>,
}

/// Why a document is no resource that we read. All of these are for its author to mend.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ParseError {
    /// Not a mapping with `apiVersion` and `kind`.
    #[error("not a Kubernetes resource: {0}")]
    NotAResource(&'static str),
    /// A kind that is not in [`KINDS`].
    #[error("{kind} of {api_version} is not a kind that Portcullis reads; it reads {}", known())]
    UnknownKind {
        /// As the document says.
        api_version: String,
        /// As the document says.
        kind: String,
    },
    /// A kind that we know, in a version that we don't.
    #[error("{kind} has no version {version}; use {wanted}")]
    UnknownVersion {
        /// The kind.
        kind: &'static str,
        /// As the document says.
        version: String,
        /// The preferred `apiVersion`.
        wanted: String,
    },
    /// A field has the wrong type, or is missing.
    #[error("{0}")]
    Field(String),
}

fn known() -> String {
    KINDS.iter().map(|row| row.kind).collect::<Vec<_>>().join(", ")
}

/// Reads one document.
///
/// # Errors
/// When it is no resource, of an unknown kind or version, or a field does not fit.
pub fn parse(mut document: Value) -> Result<Parsed, ParseError> {
    drop_nulls(&mut document);
    let row = kind_of(&document)?;
    let Value::Object(fields) = &mut document else { return Err(ParseError::NotAResource("it is not a mapping")) };
    fields.remove("status");
    let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or(ParseError::NotAResource("it has no metadata"))?;
    if !metadata.get("name").is_some_and(Value::is_string) {
        return Err(ParseError::NotAResource("it has no metadata.name"));
    }
    match row.scope {
        Scope::Namespaced => {
            metadata.entry("namespace").or_insert_with(|| DEFAULT_NAMESPACE.into());
        }
        Scope::Cluster => {
            metadata.remove("namespace");
        }
    }
    if row.kind == RouteKind::Tls.as_str() {
        // Before v1 a TLSRoute could name no hosts, which stands for all hosts of its listeners.
        let spec = fields.get_mut("spec").and_then(Value::as_object_mut);
        spec.map(|spec| spec.entry("hostnames").or_insert_with(|| Value::Array(Vec::new())));
    }
    let mut unknown = Vec::new();
    let object = (row.parse)(document, &mut |path| unknown.push(path)).map_err(ParseError::Field)?;
    // A document that was fetched from somewhere has a status; it's ours to write, not to read.
    unknown.retain(|path| !matches!(path.as_str(), "apiVersion" | "kind" | "status"));
    Ok(Parsed { object, unknown })
}

/// The row of the table that a document's `apiVersion` and `kind` name.
///
/// # Errors
/// When it has none, or they are unknown.
pub fn kind_of(document: &Value) -> Result<&'static Kind, ParseError> {
    let text = |field| document.get(field).and_then(Value::as_str);
    let api_version = text("apiVersion").ok_or(ParseError::NotAResource("it has no apiVersion"))?;
    let kind = text("kind").ok_or(ParseError::NotAResource("it has no kind"))?;
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let row = Kind::find(group, kind)
        .ok_or_else(|| ParseError::UnknownKind { api_version: api_version.to_owned(), kind: kind.to_owned() })?;
    if row.versions.contains(&version) {
        return Ok(row);
    }
    let wanted = if group.is_empty() { row.versions[0].to_owned() } else { format!("{group}/{}", row.versions[0]) };
    Err(ParseError::UnknownVersion { kind: row.kind, version: version.to_owned(), wanted })
}

/// Removes explicit nulls, at every depth.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gateway() -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "eg"},
            "spec": {"gatewayClassName": "eg", "addresses": null, "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        })
    }

    #[test]
    fn nulls_are_absent_and_the_namespace_is_default() {
        let parsed = parse(gateway()).unwrap();
        assert_eq!(parsed.object.reference().to_string(), "Gateway default/eg");
        assert_eq!(parsed.unknown, Vec::<String>::new());
    }

    #[test]
    fn unknown_fields_are_told_with_their_path() {
        let mut document = gateway();
        document["spec"]["listeners"][0]["prot"] = json!(1);
        document["sepc"] = json!({});
        assert_eq!(parse(document).unwrap().unknown, ["sepc", "spec.listeners[0].prot"]);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let mut document = gateway();
        document["spec"]["listeners"][0]["port"] = json!("eighty");
        let error = parse(document).unwrap_err().to_string();
        assert!(error.starts_with("spec.listeners[0].port: "), "{error}");
    }

    #[test]
    fn kinds_and_versions_we_do_not_read_say_what_we_read() {
        let error = parse(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}})).unwrap_err();
        assert!(error.to_string().contains("HTTPRoute"));
        let old = json!({"apiVersion": "gateway.networking.k8s.io/v0", "kind": "Gateway", "metadata": {"name": "x"}});
        assert!(parse(old).unwrap_err().to_string().ends_with("use gateway.networking.k8s.io/v1"));
    }

    #[test]
    fn cluster_scoped_kinds_have_no_namespace() {
        let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": "eg", "namespace": "x"}, "spec": {"controllerName": "a/b"}});
        assert_eq!(parse(class).unwrap().object.reference().to_string(), "GatewayClass eg");
    }
}
