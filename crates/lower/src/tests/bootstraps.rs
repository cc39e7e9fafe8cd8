//! What an Envoy is started with.

use std::sync::Arc;

use envoy::bootstrap::Bootstrap;
use ir::{Gateway, Telemetry, api::ext::EnvoyProxySpec};
use serde_json::{Value, json};

use crate::{
    BootstrapSettings, bootstrap,
    bootstrap::{Address, TlsFiles, Xds},
    testing::{cluster, gateway},
};

fn settings() -> BootstrapSettings {
    BootstrapSettings {
        node_id: "envoy-1".to_owned(),
        node_cluster: "default/eg".to_owned(),
        admin: Address::Ip(([127, 0, 0, 1], 0).into()),
        xds: Xds::Unix("/run/xds.sock".to_owned()),
        zone: None,
        ready: None,
        metrics: None,
    }
}

fn with_proxy(proxy: Value) -> Gateway {
    let proxy: EnvoyProxySpec = serde_json::from_value(proxy).unwrap();
    Gateway { proxy: Arc::new(proxy), ..gateway(Vec::new(), vec![cluster("collector")]) }
}

fn accepted(gateway: &Gateway, settings: &BootstrapSettings) -> Value {
    let bootstrap = bootstrap(gateway, settings).unwrap();
    testbed::envoy::validate(&bootstrap.to_string()).unwrap();
    let parsed: Bootstrap = envoy::json::parse_as(&bootstrap).unwrap();
    assert_eq!(envoy::json::of(&parsed).unwrap(), bootstrap, "it is in Envoy's canonical form");
    bootstrap
}

#[test]
fn the_usual() {
    insta::assert_yaml_snapshot!(accepted(&with_proxy(json!({})), &settings()));
}

#[test]
fn ready_and_metrics_have_listeners() {
    let settings = BootstrapSettings {
        admin: Address::Unix("/tmp/admin.sock".to_owned()),
        ready: Some(Address::Ip(([0, 0, 0, 0], 19003).into())),
        metrics: Some(Address::Ip(([0, 0, 0, 0], 19001).into())),
        ..settings()
    };
    let proxy = json!({"telemetry": {"metrics": {"prometheus": {"compression": {"type": "Gzip"}},
        "matches": [{"type": "Prefix", "value": "cluster."}, {"type": "RegularExpression", "value": ".*_rq"}]}}});
    let mut bootstrap = accepted(&with_proxy(proxy), &settings);
    insta::assert_yaml_snapshot!("bootstrap_listeners", bootstrap["static_resources"]["listeners"].take());
    insta::assert_yaml_snapshot!("bootstrap_stats", bootstrap["stats_config"].take());
}

#[test]
fn an_envoy_in_a_zone_knows_itself_as_its_fleet() {
    let in_zone = |zone: &str| BootstrapSettings { zone: Some(zone.to_owned()), ..settings() };
    let bootstrap = accepted(&with_proxy(json!({})), &in_zone("a"));
    assert_eq!(bootstrap["cluster_manager"], json!({"local_cluster_name": "fleet"}));
    let fleet = &bootstrap["static_resources"]["clusters"][1];
    assert_eq!(fleet["load_assignment"]["endpoints"][0]["locality"], json!({"zone": "a"}));
    // Where Kubernetes does not say the zone there is none.
    accepted(&with_proxy(json!({})), &in_zone(""));
}

#[test]
fn metrics_go_to_collectors() {
    let sink = |name: &str| {
        json!({"type": "OpenTelemetry", "openTelemetry": {"backendRefs": [{"name": name, "port": 1}],
        "headers": [{"name": "token", "value": "t"}], "resourceAttributes": {"a": "b"}, "reportCountersAsDeltas": true}})
    };
    let proxy = json!({"telemetry": {"metrics": {"sinks": [sink("collector"), sink("gone")]}}});
    let telemetry = Telemetry { metrics: vec![Some("collector".into()), None], ..Telemetry::default() };
    let gateway = Gateway { telemetry, ..with_proxy(proxy) };
    let bootstrap = accepted(&gateway, &settings());
    insta::assert_yaml_snapshot!("bootstrap_sinks", bootstrap["stats_sinks"]);
    let copy = &bootstrap["static_resources"]["clusters"][1];
    assert_eq!(
        (&copy["name"], &copy["eds_cluster_config"]["service_name"]),
        (&json!("metrics/collector"), &json!("collector"))
    );
}

#[test]
fn a_server_elsewhere_is_spoken_to_with_tls() {
    let tls = TlsFiles {
        authorities: "/certs/ca.crt".to_owned(),
        certificate: "/certs/tls.crt".to_owned(),
        key: "/certs/tls.key".to_owned(),
        server_name: "portcullis".to_owned(),
        documents: None,
    };
    let xds = Xds::Tcp { host: "xds.example".to_owned(), port: 18000, tls: Some(tls) };
    let bootstrap = bootstrap(&with_proxy(json!({})), &BootstrapSettings { xds, ..settings() }).unwrap();
    insta::assert_yaml_snapshot!("bootstrap_tls", bootstrap["static_resources"]["clusters"][0]);
}

#[test]
fn users_change_it() {
    let merge = json!({"bootstrap": {"type": "Merge", "value": "node: {locality: {zone: a}}\n\
        static_resources:\n  clusters:\n  - name: mine\n"}});
    let merged = accepted(&with_proxy(merge), &settings());
    assert_eq!(merged["node"], json!({"id": "envoy-1", "cluster": "default/eg", "locality": {"zone": "a"}}));
    assert_eq!(merged["static_resources"]["clusters"].as_array().unwrap().len(), 2);

    let patches = json!([
        {"op": "replace", "path": "/node/id", "value": "other"},
        {"op": "replace", "jsonPath": "$.static_resources.clusters[?@.name=='xds_cluster']", "path": "/connect_timeout",
         "value": "3s"}]);
    let patched =
        accepted(&with_proxy(json!({"bootstrap": {"type": "JSONPatch", "jsonPatches": patches}})), &settings());
    assert_eq!(patched["node"]["id"], "other");
    assert_eq!(patched["static_resources"]["clusters"][0]["connect_timeout"], "3s");

    let ours = bootstrap(&with_proxy(json!({})), &settings()).unwrap();
    let replaced = with_proxy(json!({"bootstrap": {"type": "Replace", "value": ours.to_string()}}));
    assert_eq!(accepted(&replaced, &settings()), ours);
}

#[test]
fn what_does_not_fit_says_where() {
    let error =
        |change: Value| bootstrap(&with_proxy(json!({"bootstrap": change})), &settings()).unwrap_err().to_string();
    let patch = |patch: Value| error(json!({"type": "JSONPatch", "jsonPatches": [patch]}));
    let errors = [
        error(json!({"type": "Replace", "value": "{"})),
        error(json!({"type": "Replace", "value": "admin: {}"})),
        error(json!({"type": "Merge", "value": "admin: {adress: x}"})),
        patch(json!({"op": "remove", "path": "/nothing"})),
        patch(json!({"op": "remove", "jsonPath": "$.nothing"})),
        patch(json!({"op": "remove", "jsonPath": "nothing"})),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}
