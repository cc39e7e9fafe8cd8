//! A configuration without a management server: for tests that have a real Envoy judge or serve it.

use std::collections::BTreeMap;

use bytes::Bytes;
use envoy::json::{self, JsonError};
use serde_json::{Value, json};

use crate::Lowered;

/// A bootstrap in which everything that a management server would deliver stands in place, so that
/// `envoy --mode validate` looks at all of it. `endpoints` are the end points of clusters by their names
/// ([`crate::endpoints()`]); clusters without get none.
///
/// # Errors
/// A resource has no JSON form, which is a mistake of this crate.
pub fn static_bootstrap(lowered: &Lowered, endpoints: &BTreeMap<String, Bytes>) -> Result<Value, JsonError> {
    let all = |type_url: &str| -> Result<BTreeMap<String, Value>, JsonError> {
        let resources = lowered.of_type(type_url).into_iter().flat_map(|resources| resources.iter());
        resources.map(|(name, resource)| Ok((name.to_string(), json::to_json(type_url, &resource.bytes)?))).collect()
    };
    let routes = all(envoy::type_url::ROUTE)?;
    let mut listeners: Vec<Value> = all(envoy::type_url::LISTENER)?.into_values().collect();
    listeners.iter_mut().for_each(|listener| inline_routes(listener, &routes));
    let mut clusters = Vec::new();
    for (name, mut cluster) in all(envoy::type_url::CLUSTER)? {
        let found = endpoints.get(&name).map(|bytes| json::to_json(envoy::type_url::ENDPOINT, bytes)).transpose()?;
        inline_endpoints(&mut cluster, found.unwrap_or_else(|| json!({"cluster_name": name})));
        clusters.push(cluster);
    }
    let secrets: Vec<Value> = all(envoy::type_url::SECRET)?.into_values().collect();
    let mut bootstrap = json!({"static_resources": {"listeners": listeners, "clusters": clusters, "secrets": secrets}});
    static_secrets(&mut bootstrap);
    Ok(bootstrap)
}

/// Puts route configurations where connection managers ask for them.
fn inline_routes(value: &mut Value, routes: &BTreeMap<String, Value>) {
    every_object(value, &mut |object| {
        let Some(rds) = object.remove("rds") else { return };
        let name = rds["route_config_name"].as_str().unwrap_or_default();
        let mut table = routes.get(name).cloned().unwrap_or_else(|| json!({"name": name}));
        // As it is with delivered ones: clusters may come and go.
        table["validate_clusters"] = json!(false);
        object.insert("route_config".to_owned(), table);
    });
}

fn inline_endpoints(cluster: &mut Value, endpoints: Value) {
    let Some(object) = cluster.as_object_mut() else { return };
    if object.remove("eds_cluster_config").is_some() {
        object.insert("type".to_owned(), json!("STATIC"));
        object.insert("load_assignment".to_owned(), endpoints);
    }
}

/// A secret without a source is a static one.
fn static_secrets(value: &mut Value) {
    every_object(value, &mut |object| {
        object.remove("sds_config");
    });
}

fn every_object(value: &mut Value, visit: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|value| every_object(value, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| every_object(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
