//! Clusters and end points.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use envoy::type_url;
use ir::{
    Cluster, Discovery, DnsEndpoint, Endpoint, Endpoints, IpFamily, UpstreamProtocol, UpstreamTls,
    api::ext::EnvoyProxySpec,
    backend::EndpointsOfGroup,
    tls::{SubjectAltName, TlsParameters, Trust},
};
use serde_json::{Value, json};

use crate::testing::{accepted, cluster, gateway, json};

fn lowered(cluster: Cluster) -> Value {
    let name = Arc::clone(&cluster.name);
    json(&accepted(&gateway(Vec::new(), vec![cluster])), type_url::CLUSTER, &name)
}

fn dns(hostname: &str, weight: Option<u32>, priority: u32) -> DnsEndpoint {
    DnsEndpoint { hostname: hostname.to_owned(), port: 443, zone: None, priority, weight }
}

#[test]
fn names_are_asked_for_by_envoy() {
    let endpoints = vec![dns("a.example", Some(3), 0), dns("b.example", Some(1), 0), dns("c.example", Some(1), 1)];
    let discovery = Discovery::Dns { endpoints, family: Some(IpFamily::Dual) };
    insta::assert_yaml_snapshot!(lowered(Cluster { discovery, ejects_failing: true, ..cluster("dns") }));
}

#[test]
fn the_host_of_the_request_can_be_the_back_end() {
    let discovery = Discovery::Dynamic { family: IpFamily::V4 };
    let dynamic = Cluster { discovery, ..cluster("dynamic") };
    let mut gateway = crate::testing::simple([], vec![dynamic.clone()]);
    let plain = accepted(&gateway);
    insta::assert_yaml_snapshot!("dynamic_cluster", json(&plain, type_url::CLUSTER, "dynamic"));
    let listener = json(&plain, type_url::LISTENER, "tcp-80").to_string();
    assert!(listener.contains("envoy.filters.http.dynamic_forward_proxy/ipv4"), "{listener}");
    let tls = UpstreamTls { trust: Trust::Anything, ..upstream_tls() };
    Arc::make_mut(&mut gateway.clusters).insert("dynamic".into(), Arc::new(Cluster { tls: Some(tls), ..dynamic }));
    accepted(&gateway);
}

fn upstream_tls() -> UpstreamTls {
    UpstreamTls {
        sni: Some("a.example".to_owned()),
        auto_sni: false,
        trust: Trust::System,
        subject_alt_names: Vec::new(),
        client_certificate: None,
        alpn: Vec::new(),
        parameters: TlsParameters::default(),
    }
}

#[test]
fn tls_to_back_ends() {
    let with = |tls| Cluster { tls: Some(tls), protocol: UpstreamProtocol::Negotiated, ..cluster("c") };
    insta::assert_yaml_snapshot!("tls_by_system_authorities", lowered(with(upstream_tls()))["transport_socket"]);
    let names = vec![SubjectAltName::Dns("b.example".to_owned()), SubjectAltName::Uri("spiffe://a/b".to_owned())];
    insta::assert_yaml_snapshot!(
        "tls_by_names",
        lowered(with(UpstreamTls { subject_alt_names: names, ..upstream_tls() }))["transport_socket"]
    );
    let auto = UpstreamTls { sni: None, auto_sni: true, ..upstream_tls() };
    insta::assert_yaml_snapshot!("tls_by_host", lowered(with(auto.clone()))["typed_extension_protocol_options"]);
    lowered(with(UpstreamTls { trust: Trust::Anything, ..auto }));
}

#[test]
fn own_authorities_and_certificate_are_secrets() {
    let tls = UpstreamTls {
        trust: Trust::Authorities("ca".into()),
        client_certificate: Some("certificate".into()),
        ..upstream_tls()
    };
    let gateway = gateway(Vec::new(), vec![Cluster { tls: Some(tls), ..cluster("c") }]);
    let lowered = crate::lower(&gateway, &crate::Settings::default(), &mut crate::Memo::default());
    insta::assert_yaml_snapshot!(json(&lowered, type_url::CLUSTER, "c")["transport_socket"]);
}

#[test]
fn protocols() {
    for (protocol, expected) in [
        (UpstreamProtocol::Tcp, Value::Null),
        (UpstreamProtocol::Http1, Value::Null),
        (
            UpstreamProtocol::Http2,
            json!({"explicit_http_config": {"http2_protocol_options": {
            "initial_stream_window_size": 65536, "initial_connection_window_size": 1_048_576}}}),
        ),
    ] {
        let mut options = lowered(Cluster { protocol, ..cluster("c") })["typed_extension_protocol_options"].take();
        let mut options = options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].take();
        if let Some(options) = options.as_object_mut() {
            options.remove("@type");
        }
        assert_eq!(options, expected);
    }
}

#[test]
fn end_points_can_be_counted() {
    let telemetry = json!({"metrics": {"enablePerEndpointStats": true, "enableRequestResponseSizesStats": true}});
    let proxy = EnvoyProxySpec { telemetry: serde_json::from_value(telemetry).unwrap(), ..EnvoyProxySpec::default() };
    let gateway = ir::Gateway { proxy: Arc::new(proxy), ..gateway(Vec::new(), vec![cluster("c")]) };
    let counted = json(&accepted(&gateway), type_url::CLUSTER, "c")["track_cluster_stats"].take();
    assert_eq!(counted, json!({"per_endpoint_stats": true, "request_response_sizes": true}));
}

fn ip(address: &str, zone: Option<&str>, draining: bool) -> Endpoint {
    let address: IpAddr = address.parse().unwrap();
    Endpoint::Ip { address, port: 80, zone: zone.map(str::to_owned), hostname: None, draining }
}

fn group(weight: Option<u32>, priority: u32, endpoints: Vec<Endpoint>) -> EndpointsOfGroup {
    EndpointsOfGroup { weight, priority, endpoints }
}

fn assignment(groups: Vec<EndpointsOfGroup>) -> Value {
    let bytes = crate::endpoints(&Endpoints { cluster: "c".into(), groups });
    // A real Envoy looks at it, too.
    let lowered = crate::lower(
        &gateway(Vec::new(), vec![cluster("c")]),
        &crate::Settings::default(),
        &mut crate::Memo::default(),
    );
    let endpoints = BTreeMap::from([("c".to_owned(), bytes.clone())]);
    let bootstrap = crate::static_bootstrap(&lowered, &endpoints).unwrap();
    testbed::envoy::validate(&bootstrap.to_string()).unwrap();
    envoy::json::to_json(type_url::ENDPOINT, &bytes).unwrap()
}

#[test]
fn end_points_stand_by_priority_and_zone() {
    let endpoints =
        vec![ip("10.0.0.1", Some("a"), false), ip("10.0.0.2", Some("b"), false), ip("10.0.0.3", Some("a"), true)];
    let fallback =
        vec![ip("fd00::1", None, false), Endpoint::Unix { path: "/run/x.sock".to_owned(), zone: None, hostname: None }];
    insta::assert_yaml_snapshot!(assignment(vec![group(None, 0, endpoints), group(None, 1, fallback)]));
}

#[test]
fn groups_have_weights() {
    let one = |address| vec![ip(address, Some("a"), false)];
    let groups = vec![
        group(Some(1), 0, one("10.0.0.1")),
        group(Some(9), 0, one("10.0.0.2")),
        group(Some(0), 0, one("10.0.0.3")),
    ];
    insta::assert_yaml_snapshot!(assignment(groups));
}

#[test]
fn no_end_points_are_an_empty_list() {
    assert_eq!(assignment(vec![group(None, 0, Vec::new())]), json!({"cluster_name": "c"}));
}
