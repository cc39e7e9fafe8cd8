//! Canonical JSON of any message that this crate knows, both ways.
//!
//! The form is proto3's JSON mapping, with the field names of the `.proto` files (`typed_config`, not `typedConfig`), as
//! Envoy's own configuration dump prints it; fields that have their default are left out. `Any`s are resolved, however
//! deep. The same input gives the same output, bytes included.

mod nothing;

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;

use crate::{canonical, type_url};

/// Why a message could not be turned into JSON or back.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Nothing is known of this type.
    #[error("unknown message type {0}")]
    UnknownType(String),
    /// The bytes are no such message.
    #[error("no {message}: {source}")]
    Decode {
        /// The full name of the message.
        message: String,
        /// What is wrong with the bytes.
        source: prost::DecodeError,
    },
    /// The message holds something that has no JSON form, such as an `Any` of an unknown type.
    #[error("{message} as JSON: {reason}")]
    Serialize {
        /// The full name of the message.
        message: String,
        /// What has no JSON form.
        reason: String,
    },
    /// The JSON does not fit the message.
    #[error("{path}: {reason}")]
    Field {
        /// Where, as `route_config.virtual_hosts[0].name`; `.` for the whole.
        path: String,
        /// What is wrong there: an unknown field, a value of another kind.
        reason: String,
    },
}

/// Everything this crate knows of messages, decoded when first asked for (a few milliseconds).
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let set = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice();
    DescriptorPool::decode(set).expect("the build script wrote the set")
});

/// Every message's description, for those who walk messages themselves.
pub fn descriptors() -> &'static DescriptorPool {
    &POOL
}

/// The JSON of an encoded message.
///
/// # Errors
/// The type, or that of an `Any` inside, is unknown, or the bytes are no such message.
pub fn to_json(type_url: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    serialize(type_url, bytes, true)
}

fn serialize(type_url: &str, bytes: &[u8], names_of_proto: bool) -> Result<Value, JsonError> {
    let descriptor = descriptor(type_url)?;
    let name = || descriptor.full_name().to_owned();
    let mut message = DynamicMessage::decode(descriptor.clone(), bytes)
        .map_err(|source| JsonError::Decode { message: name(), source })?;
    nothing::name(&mut message);
    let options = SerializeOptions::new().use_proto_field_name(names_of_proto).skip_default_fields(true);
    let mut value = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| JsonError::Serialize { message: name(), reason: error.to_string() })?;
    nothing::unname_json(&mut value);
    // Protobuf maps come out of a hash map: they need sorting wherever JSON objects keep the order of insertion.
    value.sort_all_objects();
    Ok(value)
}

/// The JSON of a message.
///
/// # Errors
/// An `Any` inside is of a type that this crate does not know.
pub fn of<M: Message + Name>(message: &M) -> Result<Value, JsonError> {
    to_json(&type_url::of::<M>(), &message.encode_to_vec())
}

/// The JSON of a message with field names in camel case (`overallCode`), as other programs print it.
///
/// # Errors
/// An `Any` inside is of a type that this crate does not know.
pub fn camel_case<M: Message + Name>(message: &M) -> Result<Value, JsonError> {
    serialize(&type_url::of::<M>(), &message.encode_to_vec(), false)
}

/// The bytes of the message that a JSON value describes. Field names may be in either case (`typed_config`,
/// `typedConfig`).
///
/// # Errors
/// The type is unknown, or the JSON does not fit it; an unknown field is an error that names the path to it.
pub fn from_json(type_url: &str, value: &Value) -> Result<Vec<u8>, JsonError> {
    parse(&descriptor(type_url)?, value).map(|message| canonical::encode(&message))
}

/// The message that a JSON value describes, as [`from_json`].
///
/// # Errors
/// The JSON does not fit the message.
pub fn parse_as<M: Message + Name + Default>(value: &Value) -> Result<M, JsonError> {
    let bytes = from_json(&type_url::of::<M>(), value)?;
    M::decode(bytes.as_slice()).map_err(|source| JsonError::Decode { message: M::full_name(), source })
}

fn parse(descriptor: &MessageDescriptor, value: &Value) -> Result<DynamicMessage, JsonError> {
    // Sorted, `@type` comes before the fields that it gives a meaning to, so that errors below an `Any` keep their path.
    let mut sorted = value.clone();
    nothing::name_json(descriptor, &mut sorted);
    sorted.sort_all_objects();
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(&sorted, &mut track);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut message = DynamicMessage::deserialize_with_options(descriptor.clone(), deserializer, &options).map_err(
        |error: serde_json::Error| JsonError::Field { path: track.path().to_string(), reason: error.to_string() },
    )?;
    nothing::unname(&mut message);
    Ok(message)
}

fn descriptor(type_url: &str) -> Result<MessageDescriptor, JsonError> {
    POOL.get_message_by_name(type_url::message_name(type_url))
        .ok_or_else(|| JsonError::UnknownType(type_url.to_owned()))
}

#[cfg(test)]
mod tests;
