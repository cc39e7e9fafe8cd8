//! What is left out of golden files, so that what a case is about is seen.
//!
//! - Fields that have the value which `usual.yaml` gives them; one that lacks it is shown as null.
//! - Of `@type`, all but the last word. Of a condition, all but `Type=Status Reason: message`.
//! - Addresses are `address:port`, a config source of ADS is `ads`, bytes are the text that they are.
//! - A router is `router`; a connection manager with nothing else to say than its routes is a line.
//! - A fixed entry of a descriptor (`generic_key`) is `key = value`.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value, json};

use crate::{material::Material, outcome::Outcome};

/// The usual fields, by the kind of message.
static USUAL: LazyLock<BTreeMap<String, Map<String, Value>>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("usual.yaml")).unwrap());

/// The status of every resource that has one, and what is wrong with documents.
pub(crate) fn status(outcome: &Outcome) -> String {
    let mut all = Map::new();
    let problems = outcome.problems();
    if !problems.is_empty() {
        all.insert("problems".to_owned(), json!(problems));
    }
    for (reference, mut status) in outcome.statuses() {
        conditions(&mut status);
        for listener in status["listeners"].as_array_mut().into_iter().flatten() {
            if let Some(kinds) = listener["supportedKinds"].as_array_mut() {
                kinds.iter_mut().for_each(|kind| *kind = kind["kind"].take());
            }
            leave_out(listener, "status.listener");
        }
        for part in ["parents", "ancestors"] {
            status[part].as_array_mut().into_iter().flatten().for_each(|item| leave_out(item, "status.parent"));
        }
        if let Some(fields) = status.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        leave_out(&mut status, &format!("status.{}", reference.kind));
        all.insert(reference.to_string(), status);
    }
    yaml(&all.into())
}

/// Conditions as lines.
fn conditions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Array(items) if name == "conditions" => items.iter_mut().for_each(|item| *item = line(item)),
                    other => conditions(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(conditions),
        _ => {}
    }
}

fn line(condition: &Value) -> Value {
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    assert!(condition["observedGeneration"].is_i64(), "every condition says of which generation it is: {condition}");
    let head = format!("{}={} {}", text("type"), text("status"), text("reason"));
    json!(if text("message").is_empty() { head } else { format!("{head}: {}", text("message")) })
}

/// Envoy's resources, by fleet where there are several, type and name.
pub(crate) fn xds(outcome: &Outcome, material: &Material) -> String {
    let mut fleets: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for document in outcome.xds() {
        let text = |field: &str| document[field].as_str().unwrap_or_default();
        let kind = text("type").rsplit('.').next().unwrap_or_default();
        let mut resource = document["resource"].clone();
        if let Some(fields) = resource.as_object_mut() {
            fields.remove("name");
            fields.remove("cluster_name");
        }
        leave_out(&mut resource, kind);
        shorten(&mut resource, material);
        let fleet = fleets.entry(text("gateway").to_owned()).or_default();
        fleet.entry(kind.to_owned()).or_insert_with(|| json!({}))[text("name")] = resource;
    }
    match fleets.len() {
        1 => yaml(&fleets.into_values().next().unwrap().into()),
        _ => yaml(&json!(fleets)),
    }
}

/// What each fleet's Envoy is started with.
pub(crate) fn bootstrap(outcome: &Outcome) -> String {
    match outcome.start() {
        Ok(bootstraps) => {
            let mut all = json!(bootstraps);
            shorten(&mut all, &Material::default());
            yaml(&all)
        }
        Err(words) => yaml(&json!({"error": words})),
    }
}

/// Shortens what stands in a resource.
fn shorten(value: &mut Value, material: &Material) {
    if let Some(short) = short_form(value) {
        *value = short.into();
        return;
    }
    match value {
        Value::Object(fields) => {
            if let Some(kind) = fields.get("@type").and_then(Value::as_str).and_then(|url| url.rsplit('.').next()) {
                let kind = kind.to_owned();
                fields.insert("@type".to_owned(), json!(kind));
                leave_out_of(fields, &kind);
            }
            if let Some(bytes) = fields.get("inline_bytes").and_then(Value::as_str) {
                let text = material.name(bytes);
                fields.insert("inline_bytes".to_owned(), text.into());
            }
            fields.values_mut().for_each(|field| shorten(field, material));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, material)),
        _ => {}
    }
    if let Some(short) = short_filter(value) {
        *value = short.into();
    }
}

/// The short form of filters as they are in almost every chain. What stands in them is short already.
fn short_filter(filter: &Value) -> Option<String> {
    if *filter == json!({"name": "envoy.filters.http.router", "typed_config": {"@type": "Router"}}) {
        return Some("router".to_owned());
    }
    let manager = filter.get("typed_config")?;
    let (stats, routes) = (manager.get("stat_prefix")?.as_str()?, manager.pointer("/rds/route_config_name")?.as_str()?);
    let plain = json!({
        "@type": "HttpConnectionManager",
        "http_filters": ["router"],
        "rds": {"config_source": "ads", "route_config_name": routes},
        "stat_prefix": stats,
    });
    (*manager == plain).then(|| format!("HttpConnectionManager, routes {routes}, statistics {stats}"))
}

/// The short form of objects that say little in many lines.
fn short_form(value: &Value) -> Option<String> {
    if *value == json!({"ads": {}, "resource_api_version": "V3"}) {
        return Some("ads".to_owned());
    }
    if let Some(key) = value.get("generic_key").filter(|_| value.as_object().is_some_and(|fields| fields.len() == 1)) {
        return Some(format!("{} = {}", key["descriptor_key"].as_str()?, key["descriptor_value"].as_str()?));
    }
    let socket = value.pointer("/endpoint/address/socket_address").or_else(|| value.pointer("/socket_address"))?;
    let (address, port) = (socket["address"].as_str()?, socket["port_value"].as_u64()?);
    let alone = |wrapped: Value| *value == wrapped;
    let is_plain =
        alone(json!({"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}))
            || alone(json!({"socket_address": {"address": address, "port_value": port}}));
    is_plain.then(|| if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
}

/// Leaves out what is usual for a kind of message.
fn leave_out(value: &mut Value, kind: &str) {
    if let Some(fields) = value.as_object_mut() {
        leave_out_of(fields, kind);
    }
}

fn leave_out_of(fields: &mut Map<String, Value>, kind: &str) {
    for (name, usual) in USUAL.get(kind).into_iter().flatten() {
        if fields.get(name) == Some(usual) {
            fields.remove(name);
        } else {
            fields.entry(name.clone()).or_insert(Value::Null);
        }
    }
}

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap()
}
