//! An `Any` with nothing in it, not even a type: `{}` in JSON, as protobuf's own libraries have it.
//!
//! Envoy gives it a meaning: in a route's `FilterConfig` it turns on a filter that has nothing to say for routes. The JSON
//! library knows only `Any`s of a type, so that such an `Any` gets the type `google.protobuf.Empty` on its way.

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value};
use serde_json::{Value as Json, json};

use crate::{canonical, type_url};

const ANY: &str = "google.protobuf.Any";
const EMPTY: &str = "type.googleapis.com/google.protobuf.Empty";

/// What becomes of the type of an `Any`.
#[derive(Clone, Copy)]
enum Direction {
    ToEmpty,
    ToNothing,
}

/// Gives a type to every `Any` that has none, however deep.
pub(super) fn name(message: &mut DynamicMessage) {
    walk(message, Direction::ToEmpty);
}

/// Takes it away again.
pub(super) fn unname(message: &mut DynamicMessage) {
    walk(message, Direction::ToNothing);
}

/// The JSON without the type that [`name`] gave.
pub(super) fn unname_json(value: &mut Json) {
    match value {
        Json::Object(object) if object.get("@type").is_some_and(|url| url == EMPTY) => object.clear(),
        Json::Object(object) => object.values_mut().for_each(unname_json),
        Json::Array(items) => items.iter_mut().for_each(unname_json),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Gives a type to every `{}` that stands for an `Any`.
pub(super) fn name_json(descriptor: &MessageDescriptor, value: &mut Json) {
    let Json::Object(object) = value else { return };
    if descriptor.full_name() == ANY {
        if object.is_empty() {
            *value = json!({"@type": EMPTY, "value": {}});
            return;
        }
        let inner = object.get("@type").and_then(Json::as_str).map(type_url::message_name);
        if let Some(inner) = inner.and_then(|name| descriptor.parent_pool().get_message_by_name(name)) {
            name_json(&inner, value);
        }
        return;
    }
    for (key, value) in object {
        let field = descriptor.get_field_by_name(key).or_else(|| descriptor.get_field_by_json_name(key));
        let Some(Kind::Message(message)) = field.map(|field| field.kind()) else { continue };
        match value {
            Json::Object(entries) if message.is_map_entry() => {
                let Kind::Message(message) = message.map_entry_value_field().kind() else { continue };
                entries.values_mut().for_each(|value| name_json(&message, value));
            }
            Json::Array(items) => items.iter_mut().for_each(|value| name_json(&message, value)),
            value => name_json(&message, value),
        }
    }
}

/// Whether anything was changed.
fn walk(message: &mut DynamicMessage, direction: Direction) -> bool {
    if message.descriptor().full_name() == ANY {
        return walk_any(message, direction);
    }
    let mut changed = false;
    message.fields_mut().for_each(|(_, value)| changed |= walk_value(value, direction));
    changed
}

fn walk_value(value: &mut Value, direction: Direction) -> bool {
    let mut changed = false;
    match value {
        Value::Message(message) => changed = walk(message, direction),
        Value::List(items) => items.iter_mut().for_each(|item| changed |= walk_value(item, direction)),
        Value::Map(entries) => entries.values_mut().for_each(|item| changed |= walk_value(item, direction)),
        _ => {}
    }
    changed
}

fn walk_any(any: &mut DynamicMessage, direction: Direction) -> bool {
    let text = |value: Option<std::borrow::Cow<'_, Value>>| value.and_then(|value| value.as_str().map(str::to_owned));
    let url = text(any.get_field_by_name("type_url")).unwrap_or_default();
    let bytes = any.get_field_by_name("value").and_then(|value| value.as_bytes().cloned()).unwrap_or_default();
    match direction {
        Direction::ToEmpty if url.is_empty() && bytes.is_empty() => {
            any.set_field_by_name("type_url", Value::String(EMPTY.to_owned()));
            return true;
        }
        Direction::ToNothing if url == EMPTY => {
            any.clear_field_by_name("type_url");
            return true;
        }
        Direction::ToEmpty | Direction::ToNothing => {}
    }
    let inner = any.descriptor().parent_pool().get_message_by_name(type_url::message_name(&url));
    let Some(Ok(mut inner)) = inner.map(|inner| DynamicMessage::decode(inner, bytes)) else { return false };
    let changed = walk(&mut inner, direction);
    if changed {
        any.set_field_by_name("value", Value::Bytes(canonical::encode(&inner).into()));
    }
    changed
}
