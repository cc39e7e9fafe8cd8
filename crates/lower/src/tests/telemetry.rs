//! Logs, metrics and traces.

use std::sync::Arc;

use envoy::type_url;
use ir::{FilterChain, Gateway, Telemetry, api::ext::EnvoyProxySpec};
use serde_json::{Value, json};

use crate::testing::{accepted, cluster, forward, host, http_chain, json, prefix, simple, table, tcp_listener, to};

fn gateway(telemetry: Value, clusters: Telemetry) -> Gateway {
    let proxy = EnvoyProxySpec { telemetry: serde_json::from_value(telemetry).unwrap(), ..EnvoyProxySpec::default() };
    let gateway = simple([to("r", prefix(""), forward("c"))], vec![cluster("c"), cluster("collector")]);
    Gateway { proxy: Arc::new(proxy), telemetry: clusters, ..gateway }
}

/// The listener without what is in other cases.
fn lowered(telemetry: Value, clusters: Telemetry) -> (Value, Value) {
    let lowered = accepted(&gateway(telemetry, clusters));
    let mut listener = json(&lowered, type_url::LISTENER, "tcp-80");
    let manager = listener["filter_chains"][0]["filters"][0]["typed_config"].take();
    (listener["access_log"].take(), manager)
}

#[test]
fn without_settings_requests_are_logged_as_json() {
    let (listener, mut manager) = lowered(Value::Null, Telemetry::default());
    insta::assert_yaml_snapshot!("usual_log", manager["access_log"].take());
    assert_eq!(listener[0]["filter"], json!({"response_flag_filter": {"flags": ["NR"]}}));
    let (listener, manager) = lowered(json!({"accessLog": {"disable": true}}), Telemetry::default());
    assert_eq!((listener, &manager["access_log"]), (Value::Null, &Value::Null));
}

#[test]
fn logs_go_where_they_should() {
    let settings = json!({"accessLog": {"settings": [
        {"format": {"type": "Text", "text": "%REQ(:METHOD)% %METADATA(ROUTE:a:b)%"}, "matches": ["response.code >= 400", "true"],
         "sinks": [{"type": "File", "file": {"path": "/dev/stderr"}}], "type": "Route"},
        {"sinks": [
            {"type": "ALS", "als": {"type": "HTTP", "backendRefs": [{"name": "x", "port": 1}], "logName": "mine",
                "http": {"requestHeaders": ["x-a"], "responseHeaders": ["x-b"], "responseTrailers": ["x-c"]}}},
            {"type": "ALS", "als": {"type": "HTTP", "backendRefs": [{"name": "gone", "port": 1}]}}]},
        {"format": {"json": {"path": "%REQ(:PATH)%"}}, "sinks": [{"type": "OpenTelemetry", "openTelemetry": {
            "backendRefs": [{"name": "x", "port": 1}], "headers": [{"name": "token", "value": "t"}],
            "resourceAttributes": {"k8s.cluster.name": "one"}}}]},
        {"type": "Upstream", "format": {"text": "%UPSTREAM_HOST%"}, "sinks": [{"type": "File", "file": {"path": "/dev/stdout"}}]},
        {"type": "Listener", "format": {"text": "conn"}, "sinks": [{"type": "File", "file": {"path": "/dev/stdout"}}]},
    ]}});
    let collector = || Some(Arc::from("collector"));
    let access_logs = vec![vec![None], vec![collector(), None], vec![collector()], vec![None], vec![None]];
    let (listener, mut manager) = lowered(settings, Telemetry { access_logs, ..Telemetry::default() });
    insta::assert_yaml_snapshot!("logs_of_requests", manager["access_log"].take());
    insta::assert_yaml_snapshot!("logs_of_the_listener", listener);
    insta::assert_yaml_snapshot!("logs_of_tries", manager["http_filters"][0]["typed_config"]["upstream_log"].take());
}

#[test]
fn services_are_told_the_fingerprints_of_clients() {
    let inspector = |settings: Value| {
        let access_logs = vec![vec![Some(Arc::from("collector"))]];
        let plain = gateway(settings, Telemetry { access_logs, ..Telemetry::default() });
        let routes = table("http-443", [host("*", [to("r", prefix(""), forward("c"))])]);
        let chain = FilterChain { matches_tls: true, ..http_chain("default/eg/https", routes) };
        let listeners = vec![Arc::new(tcp_listener(443, vec![chain]))];
        let lowered = accepted(&Gateway { listeners, ..plain });
        json(&lowered, type_url::LISTENER, "tcp-443")["listener_filters"][0]["typed_config"].take()
    };
    let als = json!({"type": "ALS", "als": {"type": "HTTP", "backendRefs": [{"name": "x", "port": 1}]}});
    let told = inspector(json!({"accessLog": {"settings": [{"sinks": [als]}]}}));
    assert_eq!(told["enable_ja4_fingerprinting"], json!(true));
    // Nobody else asks, and it costs a hash for each connection.
    let file = json!({"type": "File", "file": {"path": "/dev/stdout"}});
    for settings in [json!([{"sinks": [file]}]), json!([])] {
        assert_eq!(inspector(json!({"accessLog": {"settings": settings}}))["enable_ja4_fingerprinting"], Value::Null);
    }
    let disabled = json!({"accessLog": {"disable": true, "settings": [{"sinks": [als]}]}});
    assert_eq!(inspector(disabled)["enable_ja4_fingerprinting"], Value::Null);
}

fn tracing(settings: &Value) -> Value {
    let clusters = Telemetry { tracing: Some("collector".into()), ..Telemetry::default() };
    lowered(json!({"tracing": settings}), clusters).1["tracing"].take()
}

#[test]
fn traces() {
    insta::assert_yaml_snapshot!(tracing(&json!({
        "provider": {"type": "OpenTelemetry", "backendRefs": [{"name": "x", "port": 1}], "serviceName": "edge",
            "openTelemetry": {"headers": [{"name": "token", "value": "t"}], "resourceAttributes": {"a": "b"},
                "sampler": {"type": "ParentBasedTraceIdRatio", "samplingPercentage": {"numerator": 1, "denominator": 8}}}},
        "samplingFraction": {"numerator": 1, "denominator": 3}, "clientSamplingFraction": {"numerator": 50},
        "customTags": {
            "env": {"type": "Environment", "environment": {"name": "POD", "defaultValue": "-"}},
            "header": {"type": "RequestHeader", "requestHeader": {"name": "x-a"}},
            "literal": {"type": "Literal", "literal": {"value": "v"}}},
        "tags": {"method": "%REQ(:METHOD)%"},
        "spanName": {"client": "to %UPSTREAM_HOST%", "server": "%REQ(:PATH)%"},
    })));
}

#[test]
fn other_collectors() {
    let zipkin = tracing(&json!({"provider": {"type": "Zipkin", "backendRefs": [{"name": "x", "port": 1}],
        "zipkin": {"enable128BitTraceId": true, "disableSharedSpanContext": true}}, "samplingRate": 5}));
    insta::assert_yaml_snapshot!("traces_to_zipkin", zipkin);
    let datadog = tracing(&json!({"provider": {"type": "Datadog", "backendRefs": [{"name": "x", "port": 1}]}}));
    insta::assert_yaml_snapshot!("traces_to_datadog", datadog["provider"]);
    for sampler in ["AlwaysOn", "AlwaysOff", "TraceIdRatio", "ParentBasedAlwaysOn", "ParentBasedAlwaysOff"] {
        tracing(&json!({"provider": {"type": "OpenTelemetry", "backendRefs": [{"name": "x", "port": 1}],
            "openTelemetry": {"sampler": {"type": sampler}}}}));
    }
}

#[test]
fn hosts_can_be_counted() {
    let lowered = accepted(&gateway(json!({"metrics": {"enableVirtualHostStats": true}}), Telemetry::default()));
    let table = json(&lowered, type_url::ROUTE, "http-80");
    insta::assert_yaml_snapshot!(table["virtual_hosts"][0]["virtual_clusters"]);
}
