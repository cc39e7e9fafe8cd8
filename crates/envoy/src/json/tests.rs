//! JSON there and back, on messages with what is difficult: `Any`s, maps, wrappers, durations, oneofs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{bootstrap, cluster, core, ext, hcm, listener, route};

fn metadata(keys: impl IntoIterator<Item = usize>) -> core::Metadata {
    let fields: BTreeMap<_, _> = keys
        .into_iter()
        .map(|key| (format!("key-{key:03}"), prost_types::Value { kind: None }))
        .map(|(key, _)| (key, prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(1.0)) }))
        .collect();
    let filter_metadata = BTreeMap::from([("envoy.lb".to_owned(), prost_types::Struct { fields })]);
    core::Metadata { filter_metadata, ..core::Metadata::default() }
}

fn listener_with_manager() -> listener::Listener {
    let filter = hcm::HttpFilter {
        name: "envoy.filters.http.router".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(crate::any(&ext::http::router::Router {
            dynamic_stats: Some(false),
            ..Default::default()
        }))),
        ..Default::default()
    };
    let manager = hcm::HttpConnectionManager {
        stat_prefix: "in".to_owned(),
        http_filters: vec![filter],
        request_timeout: Some(crate::duration(Duration::from_millis(1500))),
        ..Default::default()
    };
    let network = listener::Filter {
        name: "hcm".to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(crate::any(&manager))),
    };
    listener::Listener {
        name: "l".to_owned(),
        filter_chains: vec![listener::FilterChain { filters: vec![network], ..Default::default() }],
        metadata: Some(metadata(0..40)),
        per_connection_buffer_limit_bytes: Some(32768),
        ..Default::default()
    }
}

#[test]
fn a_message_comes_back_as_it_was() {
    let listener = listener_with_manager();
    let value = of(&listener).unwrap();
    assert_eq!(value["per_connection_buffer_limit_bytes"], 32768);
    let manager = &value["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(manager["@type"], type_url::of::<hcm::HttpConnectionManager>());
    assert_eq!(manager["request_timeout"], "1.500s");
    assert_eq!(manager["http_filters"][0]["typed_config"]["dynamic_stats"], false);
    assert!(manager.get("codec_type").is_none(), "a default is left out");
    assert_eq!(parse_as::<listener::Listener>(&value).unwrap(), listener);
}

#[test]
fn bytes_are_those_of_the_generated_types() {
    let listener = listener_with_manager();
    let value = of(&listener).unwrap();
    for _ in 0..5 {
        assert_eq!(from_json(type_url::LISTENER, &value).unwrap(), listener.encode_to_vec());
    }
}

#[test]
fn maps_below_an_any_have_one_order_too() {
    let route = route::Route { metadata: Some(metadata(0..64)), ..Default::default() };
    let per_filter = BTreeMap::from([("f".to_owned(), crate::any(&route)), ("e".to_owned(), crate::any(&route))]);
    let host = route::VirtualHost { typed_per_filter_config: per_filter, ..Default::default() };
    let value = of(&host).unwrap();
    let keys: Vec<_> = value["typed_per_filter_config"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["e", "f"]);
    for _ in 0..5 {
        assert_eq!(from_json(type_url::VIRTUAL_HOST, &value).unwrap(), host.encode_to_vec());
    }
}

#[test]
fn both_cases_are_read() {
    let snake = json!({"name": "c", "connect_timeout": "0.250s", "lb_policy": "RANDOM", "type": "EDS"});
    let camel = json!({"name": "c", "connectTimeout": "0.25s", "lbPolicy": 3, "type": "EDS"});
    let parsed: cluster::Cluster = parse_as(&snake).unwrap();
    assert_eq!(parsed, parse_as(&camel).unwrap());
    assert_eq!(parsed.connect_timeout, Some(crate::duration(Duration::from_millis(250))));
    assert_eq!(of(&parsed).unwrap(), snake);
}

#[test]
fn an_unknown_field_is_named_with_its_path() {
    let value = json!({"static_resources": {"clusters": [{"name": "a"}, {"name": "b", "conect_timeout": "1s"}]}});
    let error = parse_as::<bootstrap::Bootstrap>(&value).unwrap_err().to_string();
    assert!(error.starts_with("static_resources.clusters[1]"), "{error}");
    assert!(error.contains("conect_timeout"), "{error}");
}

#[test]
fn an_error_below_an_any_keeps_its_path() {
    let manager = json!({"stat_prefix": 7, "@type": type_url::of::<hcm::HttpConnectionManager>()});
    let value = json!({"filter_chains": [{"filters": [{"name": "f", "typed_config": manager}]}]});
    let error = parse_as::<listener::Listener>(&value).unwrap_err().to_string();
    assert!(error.starts_with("filter_chains[0].filters[0].typed_config.stat_prefix"), "{error}");
}

#[test]
fn unknown_types_are_named() {
    assert!(
        matches!(to_json("type.googleapis.com/no.Such", &[]), Err(JsonError::UnknownType(name)) if name.ends_with("no.Such"))
    );
    let any = prost_types::Any { type_url: "type.googleapis.com/no.Such".to_owned(), value: vec![] };
    let extension = core::TypedExtensionConfig { name: "x".to_owned(), typed_config: Some(any) };
    assert!(of(&extension).unwrap_err().to_string().contains("no.Such"));
}

#[test]
fn broken_bytes_are_an_error() {
    assert!(matches!(to_json(type_url::CLUSTER, &[0xff]), Err(JsonError::Decode { .. })));
}

#[test]
fn an_any_with_nothing_in_it_is_an_empty_object() {
    let config = route::FilterConfig { config: Some(crate::Any::default()), ..Default::default() };
    let route = route::Route {
        typed_per_filter_config: BTreeMap::from([("filter".to_owned(), crate::any(&config))]),
        ..Default::default()
    };
    let value = of(&route).unwrap();
    let expected = json!({"@type": type_url::of::<route::FilterConfig>(), "config": {}});
    assert_eq!(value["typed_per_filter_config"]["filter"], expected);
    assert_eq!(parse_as::<route::Route>(&value).unwrap(), route);
}
