//! What a route was made from, as metadata: for authorization services and for logs that ask for it.
//!
//! Names and shape are Envoy Gateway's, so that formats such as `%METADATA(ROUTE:envoy-gateway:resources)%` and services
//! that read it keep working. Metadata costs Envoy 10 µs for each route at each update of a table, so that only routes
//! carry it of which somebody reads it.

use std::collections::BTreeMap;

use envoy::{
    ListValue, Struct, Value,
    core::Metadata,
    metadata::{
        MetadataKey, MetadataKind,
        metadata_key::{PathSegment, path_segment::Segment},
        metadata_kind,
    },
    tracing_tags::custom_tag,
};
use ir::Source;
use prost_types::value::Kind;

/// The namespace of the metadata.
pub(crate) const NAMESPACE: &str = "envoy-gateway";

/// The namespace of what is ours.
const OWN: &str = "portcullis";
/// What a route promises, in it.
const OBJECTIVES: &str = "slo";

/// The metadata of a route: what it was made from, where that is asked for, and what it promises, where that is.
pub(crate) fn of_route(source: &Source, resource: bool, objectives: bool) -> Option<Metadata> {
    let of_resource = resource.then(|| (NAMESPACE, "resources", resources(source)));
    let promised = source.objectives.as_ref().filter(|_| objectives).map(|said| (OWN, OBJECTIVES, text(said)));
    let filter_metadata: BTreeMap<_, _> = [of_resource, promised]
        .into_iter()
        .flatten()
        .map(|(namespace, key, value)| (namespace.to_owned(), Struct { fields: [(key.to_owned(), value)].into() }))
        .collect();
    (!filter_metadata.is_empty()).then(|| Metadata { filter_metadata, ..Default::default() })
}

/// What a route promises, as a tag of its records; where it promises nothing, they have no such tag.
pub(crate) fn objectives_tag() -> custom_tag::Metadata {
    let path = vec![PathSegment { segment: Some(Segment::Key(OBJECTIVES.to_owned())) }];
    custom_tag::Metadata {
        kind: Some(MetadataKind { kind: Some(metadata_kind::Kind::Route(metadata_kind::Route::default())) }),
        metadata_key: Some(MetadataKey { key: OWN.to_owned(), path }),
        ..Default::default()
    }
}

fn resources(source: &Source) -> Value {
    let mut resource = BTreeMap::from([
        ("kind".to_owned(), text(source.kind.as_str())),
        ("namespace".to_owned(), text(&source.route.namespace)),
        ("name".to_owned(), text(&source.route.name)),
    ]);
    if let Some(rule) = &source.rule_name {
        resource.insert("sectionName".to_owned(), text(rule));
    }
    let resource = Value { kind: Some(Kind::StructValue(Struct { fields: resource })) };
    Value { kind: Some(Kind::ListValue(ListValue { values: vec![resource] })) }
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}
