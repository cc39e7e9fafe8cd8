//! What a route was made from, as metadata: for authorization services and for logs that ask for it.
//!
//! Names and shape are Envoy Gateway's, so that formats such as `%METADATA(ROUTE:envoy-gateway:resources)%` and services
//! that read it keep working. Metadata costs Envoy 10 µs for each route at each update of a table, so that only routes
//! carry it of which somebody reads it.

use std::collections::BTreeMap;

use envoy::{ListValue, Struct, Value, core::Metadata};
use ir::Source;
use prost_types::value::Kind;

/// The namespace of the metadata.
pub(crate) const NAMESPACE: &str = "envoy-gateway";

/// The metadata of a route.
pub(crate) fn of_route(source: &Source) -> Metadata {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let mut resource = BTreeMap::from([
        ("kind".to_owned(), text(source.kind.as_str())),
        ("namespace".to_owned(), text(&source.route.namespace)),
        ("name".to_owned(), text(&source.route.name)),
    ]);
    if let Some(rule) = &source.rule_name {
        resource.insert("sectionName".to_owned(), text(rule));
    }
    let resource = Value { kind: Some(Kind::StructValue(Struct { fields: resource })) };
    let resources = Value { kind: Some(Kind::ListValue(ListValue { values: vec![resource] })) };
    let fields = Struct { fields: BTreeMap::from([("resources".to_owned(), resources)]) };
    Metadata { filter_metadata: BTreeMap::from([(NAMESPACE.to_owned(), fields)]), ..Default::default() }
}
