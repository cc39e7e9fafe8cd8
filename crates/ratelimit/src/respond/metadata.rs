//! Dynamic metadata of an answer: what the rules say, and on demand what was asked, in the reference's form.

use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::service::ratelimit::RateLimitRequest;
use envoy::{ListValue, Struct, Value, ValueKind};

use crate::decide::Status;

/// The metadata of an answer; none when there is nothing to say.
pub(super) fn of(request: &RateLimitRequest, statuses: &[Status<'_>], describe: bool) -> Option<Struct> {
    let mut all = describe.then(|| described(request, statuses));
    for metadata in statuses.iter().filter_map(|status| status.metadata) {
        all.get_or_insert_default().fields.extend(metadata.fields.clone());
    }
    all
}

fn described(request: &RateLimitRequest, statuses: &[Status<'_>]) -> Struct {
    let mut fields = vec![
        ("domain", text(request.domain.clone())),
        ("descriptors", list(request.descriptors.iter().map(descriptor))),
        ("quotaModeEnabled", value(ValueKind::BoolValue(statuses.iter().any(|status| status.quota)))),
    ];
    if request.hits_addend > 0 {
        fields.push(("hitsAddend", number(request.hits_addend.into())));
    }
    let over = statuses.iter().zip(0_u32..).filter(|(status, _)| status.over_quota);
    let over: Vec<Value> = over.map(|(_, index)| number(index.into())).collect();
    if !over.is_empty() {
        fields.push(("quotaModeViolations", list(over)));
    }
    object(fields)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a struct are floating point")]
fn descriptor(descriptor: &RateLimitDescriptor) -> Value {
    let entries = descriptor.entries.iter().map(|entry| text(format!("{}={}", entry.key, entry.value)));
    let mut fields = vec![("entries", list(entries))];
    if let Some(limit) = descriptor.limit {
        let unit = limit.unit().as_str_name();
        fields.push(("limit", text(format!("requests_per_unit:{} unit:{unit}", limit.requests_per_unit))));
    }
    if let Some(hits) = descriptor.hits_addend {
        fields.push(("hitsAddend", number(hits as f64)));
    }
    value(ValueKind::StructValue(object(fields)))
}

fn object(fields: Vec<(&str, Value)>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    value(ValueKind::ListValue(ListValue { values: values.into_iter().collect() }))
}

fn text(text: String) -> Value {
    value(ValueKind::StringValue(text))
}

fn number(number: f64) -> Value {
    value(ValueKind::NumberValue(number))
}

fn value(kind: ValueKind) -> Value {
    Value { kind: Some(kind) }
}
