//! The schema and the CEL rules of a generated CRD.

use kube_cel::{CompiledSchema, Validator, compile_schema};
use regex::Regex;
use serde_json::Value;

use super::{Violation, check::Check, format, node::Node};
use crate::{Kind, ext, parse::drop_nulls};

/// The CEL rules of a CRD.
pub(super) struct CelRules {
    schema: CompiledSchema,
    validator: Validator,
}

impl CelRules {
    /// What is wrong with a document that fits the schema.
    pub(super) fn check(&self, document: &Value) -> Vec<Violation> {
        let mut document = document.clone();
        drop_nulls(&mut document);
        let Err(errors) = self.validator.validate_compiled(&self.schema, &document, None) else { return Vec::new() };
        let violation = |error: kube_cel::ValidationError| Violation { path: error.field_path, message: error.message };
        errors.into_vec().into_iter().map(violation).collect()
    }
}

/// What the CRD of one of our kinds asks for; nothing for other kinds.
pub(super) fn of(kind: &Kind) -> Option<(Node, Option<CelRules>)> {
    let crd = ext::crd(kind.group, kind.kind)?;
    let version = crd.spec.versions.into_iter().next()?;
    let schema = version.schema?.open_api_v3_schema?;
    let schema = serde_json::to_value(schema).expect("a schema has no map with other keys than text");
    let rules = CelRules { schema: compile_schema(&schema), validator: Validator::new() };
    Some((node(&schema), Some(rules)))
}

/// What a schema asks for.
fn node(schema: &Value) -> Node {
    let child = |field: &str| schema.get(field).filter(|value| value.is_object()).map(|value| Box::new(node(value)));
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    Node {
        checks: checks(schema),
        fields: fields.map(|(name, schema)| (name.clone(), node(schema))).collect(),
        items: child("items"),
        values: child("additionalProperties"),
    }
}

fn checks(schema: &Value) -> Vec<Check> {
    let mut checks = Vec::new();
    let number = |field: &str| schema.get(field).and_then(Value::as_f64);
    let size =
        |field: &str| schema.get(field).and_then(Value::as_u64).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let list = |field: &str| schema.get(field).and_then(Value::as_array);
    if schema["x-kubernetes-int-or-string"] == true {
        checks.push(Check::Type("int-or-string".to_owned()));
    } else if let Some(name) = schema["type"].as_str() {
        checks.push(Check::Type(name.to_owned()));
    }
    if let Some(required) = list("required") {
        // What has a default is never missing.
        let defaulted = |name: &str| schema["properties"][name].get("default").is_some();
        let names = required.iter().filter_map(Value::as_str).filter(|name| !defaulted(name));
        checks.push(Check::Required(names.map(str::to_owned).collect()));
    }
    if let Some(known) = list("enum") {
        checks.push(Check::OneOf(known.clone()));
    }
    if number("minimum").or(number("maximum")).is_some() {
        checks.push(Check::Range(number("minimum"), number("maximum")));
    }
    if size("minItems").or(size("maxItems")).is_some() {
        checks.push(Check::Items(size("minItems").unwrap_or(0), size("maxItems").unwrap_or(usize::MAX)));
    }
    let form = schema["pattern"].as_str().map(|pattern| {
        (Regex::new(pattern).expect("the patterns of our own types are compiled by a test"), format::words(pattern))
    });
    if form.is_some() || size("minLength").or(size("maxLength")).is_some() {
        checks.push(Check::Text(size("minLength").unwrap_or(0), size("maxLength").unwrap_or(usize::MAX), form));
    }
    match (schema["x-kubernetes-list-type"].as_str(), list("x-kubernetes-list-map-keys")) {
        (Some("map"), Some(keys)) => {
            checks.push(Check::Distinct(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
        }
        (Some("set"), _) => checks.push(Check::Distinct(Vec::new())),
        _ => {}
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of a schema, and of all schemas below it, that cannot be compiled.
    fn broken(schema: &CompiledSchema) -> Vec<String> {
        let here = schema.compilation_errors().into_iter().map(ToString::to_string);
        let below =
            schema.properties.values().chain(schema.items.as_deref()).chain(schema.additional_properties.as_deref());
        here.chain(below.flat_map(broken)).collect()
    }

    #[test]
    fn every_rule_of_every_crd_compiles() {
        for kind in crate::KINDS.iter().filter(|kind| kind.group == ext::GROUP) {
            let (_, rules) = of(kind).expect("all of our kinds have a CRD");
            assert_eq!(rules.map(|rules| broken(&rules.schema)), Some(Vec::new()), "{}", kind.kind);
        }
    }
}
