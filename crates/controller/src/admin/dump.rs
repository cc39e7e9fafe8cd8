//! All that Envoys get, as JSON, without secrets.

use std::collections::BTreeMap;

use envoy::json::to_json;
use serde_json::{Value, json};

use crate::pipeline::{Fleet, Output};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// The fields that hold secrets, wherever they stand.
const SECRETS: [&str; 6] =
    ["private_key", "password", "session_ticket_keys", "generic_secret", "hmac_secret", "private_key_provider"];
/// The fields that hold values by name, some of which may come from a Secret.
const MAPS_WITH_SECRETS: [&str; 1] = ["context_extensions"];

/// The resources of all fleets, or of one: `[{"gateway", "revision", "resources": {type: {name: resource}}}]`.
pub fn dump(output: Option<&Output>, wanted: Option<&str>) -> Value {
    let fleets = output.into_iter().flat_map(|output| &output.fleets);
    let fleets = fleets.filter(|(name, _)| wanted.is_none_or(|wanted| wanted == &***name));
    fleets
        .map(|(name, fleet)| json!({"gateway": name, "revision": fleet.snapshot.revision(), "resources": resources(fleet)}))
        .collect()
}

fn resources(fleet: &Fleet) -> BTreeMap<String, BTreeMap<String, Value>> {
    let of_type = |(url, resources): (&xds::TypeUrl, &xds::Resources)| {
        let named = resources.iter().map(|(name, resource)| {
            let mut value = to_json(url, resource.body()).unwrap_or_else(|error| json!({"error": error.to_string()}));
            redact(&mut value);
            (name.to_string(), value)
        });
        (envoy::type_url::message_name(url).to_owned(), named.collect())
    };
    fleet.snapshot.types().map(of_type).collect()
}

/// Takes secrets out of an Envoy resource.
pub fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if SECRETS.contains(&name.as_str()) {
                    *field = json!(REDACTED);
                } else if MAPS_WITH_SECRETS.contains(&name.as_str()) {
                    field.as_object_mut().into_iter().flatten().for_each(|(_, value)| *value = json!(REDACTED));
                } else {
                    redact(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let mut value = json!({"tls_certificate": {"private_key": {"inline_bytes": "c2VjcmV0"},
            "certificate_chain": {"inline_bytes": "cHVibGlj"}},
            "list": [{"generic_secret": {"secret": {"inline_string": "secret"}}}]});
        redact(&mut value);
        assert_eq!(value["tls_certificate"]["private_key"], REDACTED);
        assert_eq!(value["tls_certificate"]["certificate_chain"]["inline_bytes"], "cHVibGlj");
        assert_eq!(value["list"][0]["generic_secret"], REDACTED);
    }
}
