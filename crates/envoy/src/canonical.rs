//! One order for the bytes of a dynamic message.
//!
//! Protobuf leaves the order of map entries open, and a dynamic message keeps its maps as hash maps: encoded as they
//! come, the same JSON would give other bytes each time. Here they are sorted by key, as the generated types do it.

use prost::bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

/// Encodes a message with its map entries sorted, those of nested messages and packed `Any`s too.
pub(crate) fn encode(message: &DynamicMessage) -> Vec<u8> {
    let mut out = Vec::new();
    let packed = packed_value(message);
    for (field, value) in message.fields() {
        match (value, &packed) {
            (Value::Bytes(_), Some(bytes)) => put_bytes(&mut out, field.number(), bytes),
            _ => put_field(&mut out, &field, value),
        }
    }
    out
}

/// The value of a `google.protobuf.Any` in canonical order; `None` for other messages, and where the type is unknown or
/// does not decode (its bytes then stay as they are).
fn packed_value(message: &DynamicMessage) -> Option<Vec<u8>> {
    let descriptor = message.descriptor();
    if descriptor.full_name() != "google.protobuf.Any" {
        return None;
    }
    let type_url = message.get_field_by_name("type_url")?;
    let name = crate::type_url::message_name(type_url.as_str()?);
    let inner = descriptor.parent_pool().get_message_by_name(name)?;
    let bytes = message.get_field_by_name("value")?;
    Some(encode(&DynamicMessage::decode(inner, bytes.as_bytes()?.clone()).ok()?))
}

fn put_field(out: &mut Vec<u8>, field: &FieldDescriptor, value: &Value) {
    match (value, field.kind()) {
        (Value::Map(entries), Kind::Message(entry)) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by(|one, other| one.0.cmp(other.0));
            for (key, value) in entries {
                put_bytes(out, field.number(), &map_entry(&entry, key, value));
            }
        }
        (Value::Message(message), Kind::Message(_)) if !field.is_group() => {
            put_bytes(out, field.number(), &encode(message));
        }
        (Value::List(items), Kind::Message(_)) if !field.is_group() => {
            for message in items.iter().filter_map(Value::as_message) {
                put_bytes(out, field.number(), &encode(message));
            }
        }
        _ => put_plain(out, field, value),
    }
}

/// An entry is a message of key and value, either of them left out when it is the default.
fn map_entry(entry: &MessageDescriptor, key: &MapKey, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let (key_field, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
    let key = Value::from(key.clone());
    for (field, value) in [(key_field, &key), (value_field, value)] {
        if !value.is_default(&field.kind()) {
            put_field(&mut out, &field, value);
        }
    }
    out
}

/// A field with nothing to sort below it is encoded by itself, in a message that has nothing else.
fn put_plain(out: &mut Vec<u8>, field: &FieldDescriptor, value: &Value) {
    let mut alone = DynamicMessage::new(field.parent_message().clone());
    alone.set_field(field, value.clone());
    out.extend(prost::Message::encode_to_vec(&alone));
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}
