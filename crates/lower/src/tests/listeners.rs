//! Sockets, TLS, hosts.

use std::sync::Arc;

use envoy::type_url;
use ir::{
    DownstreamTls, FilterChain, IpFamily, Listener, Protocol, Secret, SecretMaterial, TcpProxy, Transport, UdpProxy,
    VirtualHost,
    api::ObjectRef,
    tls::{TlsParameters, TlsVersion},
};
use testbed::pki::Ca;

use crate::{
    Memo, Settings, lower,
    testing::{
        accepted, cluster, forward, gateway, host, http_chain, json, prefix, share, simple, table, tcp_listener, to,
    },
};

#[test]
fn a_plain_gateway() {
    let gateway = simple([to("r", prefix("/a"), forward("c"))], vec![cluster("c")]);
    let lowered = accepted(&gateway);
    insta::assert_yaml_snapshot!("plain_listener", json(&lowered, type_url::LISTENER, "tcp-80"));
    insta::assert_yaml_snapshot!("plain_table", json(&lowered, type_url::ROUTE, "http-80"));
    insta::assert_yaml_snapshot!("plain_cluster", json(&lowered, type_url::CLUSTER, "c"));
    assert_eq!(lowered.sources(type_url::CLUSTER, "c"), [ObjectRef::new("", "Service", "default", "c")]);
    assert_eq!(lowered.sources(type_url::ENDPOINT, "c"), [ObjectRef::new("", "Service", "default", "c")]);
    assert_eq!(lowered.sources(type_url::ROUTE, "http-80")[0].kind, "HTTPRoute");
    assert_eq!(lowered.sources(type_url::LISTENER, "tcp-80")[0].kind, "Gateway");
    assert!(lowered.sources(type_url::LISTENER, "tcp-81").is_empty());
}

#[test]
fn in_a_pod_another_port_is_bound() {
    let gateway = simple([to("r", prefix("/"), forward("c"))], vec![cluster("c")]);
    let settings = Settings { in_pod: true, ..Settings::default() };
    let lowered = lower(&gateway, &settings, &mut Memo::default());
    // The name stays: by it the listener is known in logs and statistics.
    let listener = json(&lowered, type_url::LISTENER, "tcp-80");
    assert_eq!(listener["address"]["socket_address"]["port_value"], 10080);
}

fn secret(name: &str, material: SecretMaterial) -> (Arc<str>, Arc<Secret>) {
    let source = ObjectRef::new("", "Secret", "default", name);
    (name.into(), Arc::new(Secret { name: name.into(), material, source }))
}

fn tls(authorities: &[&str], optional: bool) -> DownstreamTls {
    DownstreamTls {
        certificates: vec!["certificate".into()],
        client_authorities: authorities.iter().map(|name| Arc::from(*name)).collect(),
        client_certificate_optional: optional,
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        parameters: TlsParameters::default(),
    }
}

/// Terminated for two names, passed through for a third, and plain HTTP for what is not TLS.
fn tls_gateway() -> ir::Gateway {
    let chain = |name: &str, server_names: &[&str], tls: Option<DownstreamTls>, protocol| FilterChain {
        name: name.into(),
        server_names: server_names.iter().map(|name| (*name).to_owned()).collect(),
        matches_tls: true,
        tls,
        protocol,
    };
    let http = |name: &str| http_chain("x", table(name, [host("*", [to("r", prefix(""), forward("c"))])])).protocol;
    let mut strict = tls(&["ca-1", "ca-2"], false);
    strict.parameters = TlsParameters {
        min: Some(TlsVersion::V1_2),
        max: Some(TlsVersion::V1_2),
        ciphers: vec!["ECDHE-RSA-AES128-GCM-SHA256".to_owned()],
        curves: vec!["X25519".to_owned()],
        signature_algorithms: vec!["rsa_pss_rsae_sha256".to_owned()],
    };
    let passed = Protocol::Tcp(TcpProxy { name: "tlsroute/default/t".into(), clusters: vec![share("c", 1)] });
    let chains = vec![
        chain("one", &["a.example"], Some(strict), http("https-443/one")),
        chain("two", &["*.b.example"], Some(tls(&["ca-1"], true)), http("https-443/two")),
        chain("passed", &["c.example"], None, passed),
        http_chain("plain", table("http-443", [host("*", [])])),
    ];
    let pki = Ca::new("test").unwrap();
    let identity = pki.server(&["a.example"]).unwrap();
    let mut gateway = gateway(vec![tcp_listener(443, chains)], vec![cluster("c")]);
    let pem = |text: &str| Arc::from(text.as_bytes());
    let secrets = [
        secret("certificate", SecretMaterial::Certificate { chain: pem(&identity.cert), key: pem(&identity.key) }),
        secret("ca-1", SecretMaterial::Authorities(pem(&pki.pem()))),
        secret("ca-2", SecretMaterial::Authorities(pem(&Ca::new("other").unwrap().pem()))),
    ];
    gateway.secrets = Arc::new(secrets.into());
    gateway
}

#[test]
fn tls_is_terminated_passed_through_or_absent() {
    let lowered = accepted(&tls_gateway());
    let mut listener = json(&lowered, type_url::LISTENER, "tcp-443");
    // The HTTP part is in other cases.
    for chain in listener["filter_chains"].as_array_mut().unwrap() {
        for filter in chain["filters"].as_array_mut().unwrap() {
            filter["typed_config"]["http_filters"].take();
            filter["typed_config"]
                .as_object_mut()
                .unwrap()
                .retain(|key, _| ["@type", "cluster", "rds"].contains(&&**key));
        }
    }
    insta::assert_yaml_snapshot!(listener);
    let secrets: Vec<_> = lowered.of_type(type_url::SECRET).unwrap().keys().cloned().collect();
    assert_eq!(secrets, ["bundle/ca-1+ca-2", "ca-1", "ca-2", "certificate"].map(Arc::from));
    let bundle = json(&lowered, type_url::SECRET, "bundle/ca-1+ca-2");
    assert!(bundle["validation_context"]["trusted_ca"]["inline_bytes"].is_string());
}

#[test]
fn a_host_of_another_listener_is_misdirected() {
    let other = VirtualHost { domain: "b.example".into(), routes: Vec::new(), misdirected: true };
    let hosts = [host("a.example", [to("r", prefix(""), forward("c"))]), other, host("c.example", [])];
    let chain = http_chain("https", table("https-443", hosts));
    let lowered = accepted(&gateway(vec![tcp_listener(443, vec![chain])], vec![cluster("c")]));
    insta::assert_yaml_snapshot!(json(&lowered, type_url::ROUTE, "https-443"));
}

#[test]
fn every_family_can_be_bound() {
    for (family, address, compat) in
        [(IpFamily::V4, "0.0.0.0", false), (IpFamily::V6, "::", false), (IpFamily::Dual, "::", true)]
    {
        let mut listener = tcp_listener(80, vec![http_chain("c", table("t", []))]);
        listener.family = family;
        let lowered = accepted(&gateway(vec![listener], Vec::new()));
        let socket = &json(&lowered, type_url::LISTENER, "tcp-80")["address"]["socket_address"];
        assert_eq!(
            (socket["address"].as_str(), socket["ipv4_compat"].as_bool().unwrap_or_default()),
            (Some(address), compat)
        );
    }
}

fn tcp(clusters: Vec<ir::WeightedCluster>) -> Listener {
    let proxy = Protocol::Tcp(TcpProxy { name: "tcproute/default/t".into(), clusters });
    tcp_listener(90, vec![FilterChain { protocol: proxy, ..http_chain("tcp", table("unused", [])) }])
}

fn udp(clusters: Vec<ir::WeightedCluster>) -> Listener {
    Listener {
        name: "udp-53".into(),
        port: 53,
        transport: Transport::Udp(UdpProxy { name: "udproute/default/u".into(), clusters }),
        ..tcp(Vec::new())
    }
}

#[test]
fn connections_and_datagrams_by_weight() {
    let shares = || vec![share("c", 1), share("d", 3), share("", 4), share("c", 0)];
    let lowered = accepted(&gateway(vec![tcp(shares()), udp(shares())], vec![cluster("c"), cluster("d")]));
    insta::assert_yaml_snapshot!(
        "tcp_by_weight",
        json(&lowered, type_url::LISTENER, "tcp-90")["filter_chains"][0]["filters"][0]["typed_config"]["weighted_clusters"]
    );
    insta::assert_yaml_snapshot!("udp_by_weight", json(&lowered, type_url::LISTENER, "udp-53"));
    for clusters in [Vec::new(), vec![share("c", 1)], vec![share("", 1)]] {
        accepted(&gateway(vec![tcp(clusters.clone()), udp(clusters)], vec![cluster("c")]));
    }
}
