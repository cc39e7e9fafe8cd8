//! Rules as a control plane sends them: `ratelimit.config.ratelimit.v3.RateLimitConfig`.
//!
//! The messages have no fields for what this service has beyond the reference. A control plane puts those into the
//! descriptor's `metadata` under [`EXTENSION`], as they would stand in a file: `{algorithm: token_bucket, burst: 10}`.

use envoy::rls_conf::{RateLimitConfig, RateLimitDescriptor, RateLimitPolicy, RateLimitUnit};
use envoy::{ListValue, Struct, Value as ProtoValue, ValueKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::spec::{Descriptor, Domain, RateLimit, Replaces};
use crate::limit::Algorithm;

/// The key of `metadata` that holds what the messages have no fields for; it is not passed on to Envoy.
pub const EXTENSION: &str = "portcullis.dev/ratelimit";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Extension {
    algorithm: Algorithm,
    burst: Option<u32>,
    hash_value: bool,
    share_threshold: bool,
    value_to_metric: bool,
}

/// The specification in a message; the error names the descriptor's extension that cannot be read.
pub fn domain(config: RateLimitConfig) -> Result<Domain, String> {
    Ok(Domain { domain: config.domain, descriptors: descriptors(config.descriptors)? })
}

fn descriptors(messages: Vec<RateLimitDescriptor>) -> Result<Vec<Descriptor>, String> {
    messages.into_iter().map(descriptor).collect()
}

fn descriptor(message: RateLimitDescriptor) -> Result<Descriptor, String> {
    let RateLimitDescriptor {
        key,
        value,
        rate_limit,
        descriptors: children,
        shadow_mode,
        detailed_metric,
        quota_mode,
        metadata,
    } = message;
    let mut metadata = metadata.map(json_object).unwrap_or_default();
    let extension = match metadata.remove(EXTENSION) {
        Some(extension) => serde_json::from_value(extension)
            .map_err(|error| format!("the descriptor `{key}`: metadata[\"{EXTENSION}\"]: {error}"))?,
        None => Extension::default(),
    };
    Ok(Descriptor {
        rate_limit: rate_limit.map(|policy| policy_of(policy, &extension)),
        descriptors: descriptors(children)?,
        value_to_metric: extension.value_to_metric,
        share_threshold: extension.share_threshold,
        hash_value: extension.hash_value,
        key,
        value,
        shadow_mode,
        quota_mode,
        detailed_metric,
        metadata,
    })
}

fn policy_of(policy: RateLimitPolicy, extension: &Extension) -> RateLimit {
    let unit = match policy.unit() {
        RateLimitUnit::Unknown => "",
        unit => unit.as_str_name(),
    };
    RateLimit {
        requests_per_unit: policy.requests_per_unit,
        unit: unit.to_owned(),
        unlimited: policy.unlimited,
        name: policy.name,
        replaces: policy.replaces.into_iter().map(|replaced| Replaces { name: replaced.name }).collect(),
        algorithm: extension.algorithm,
        burst: extension.burst,
    }
}

/// A JSON object as a protobuf struct.
pub(super) fn metadata(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(key, value)| (key.clone(), proto_value(value))).collect() }
}

fn proto_value(json: &Value) -> ProtoValue {
    let kind = match json {
        Value::Null => ValueKind::NullValue(0),
        Value::Bool(flag) => ValueKind::BoolValue(*flag),
        Value::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => ValueKind::StringValue(text.clone()),
        Value::Array(items) => ValueKind::ListValue(ListValue { values: items.iter().map(proto_value).collect() }),
        Value::Object(object) => ValueKind::StructValue(metadata(object)),
    };
    ProtoValue { kind: Some(kind) }
}

fn json_object(message: Struct) -> Map<String, Value> {
    message.fields.into_iter().map(|(key, value)| (key, json_value(value))).collect()
}

/// Numbers of a struct are floating point; whole ones are given as what they were.
fn json_value(message: ProtoValue) -> Value {
    match message.kind {
        None | Some(ValueKind::NullValue(_)) => Value::Null,
        Some(ValueKind::BoolValue(flag)) => flag.into(),
        Some(ValueKind::NumberValue(number)) => whole(number).map_or_else(|| number.into(), Value::from),
        Some(ValueKind::StringValue(text)) => text.into(),
        Some(ValueKind::ListValue(list)) => list.values.into_iter().map(json_value).collect(),
        Some(ValueKind::StructValue(object)) => json_object(object).into(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}
