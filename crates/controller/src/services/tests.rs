use api::Resources;

use super::*;
use crate::{
    config,
    pipeline::{State, compile},
    source::file::read_once,
};

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\nspec: {controllerName: \
     gateway.envoyproxy.io/gatewayclass-controller}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: \
     {name: eg}\nspec:\n  gatewayClassName: eg\n  listeners: [{name: http, protocol: HTTP, port: 80}]\n---\napiVersion: \
     gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: eg}]\n";

fn resources(requests: u32) -> Resources {
    let policy = format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\nmetadata: {{name: p}}\nspec:\n  \
         targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}}]\n  rateLimit: {{type: Global, global: \
         {{rules: [{{limit: {{requests: {requests}, unit: Hour}}}}]}}}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let rules = "  rules: [{matches: [{path: {value: /}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: h}}]}]\n";
    let text = if requests == 0 { String::new() } else { policy };
    std::fs::write(dir.path().join("in.yaml"), format!("{GATEWAY}{rules}{text}")).unwrap();
    read_once(&[dir.path().to_owned()]).unwrap().seen.resources
}

fn limits_of(snapshot: &Snapshot) -> Vec<u32> {
    let resources = snapshot.resources(RATE_LIMIT_CONFIG);
    let of_config = |body: &[u8]| {
        let config = envoy::rls_conf::RateLimitConfig::decode(body).unwrap();
        config.descriptors[0].descriptors[0].rate_limit.as_ref().unwrap().requests_per_unit
    };
    resources.iter().map(|(_, resource)| of_config(resource.body())).collect()
}

/// The first snapshot comes even without limits, or the service would wait; after that only what is something else.
#[test]
fn what_is_the_same_is_not_sent_again() {
    let mut settings = config::pipeline_settings(&config::offline(), Vec::new());
    settings.translate.rate_limit_service =
        Some(translate::ServiceAddress { host: "localhost".to_owned(), port: 8081, certified_name: None });
    let (mut state, mut limits) = (State::new(settings), Told::limits());
    let mut sent = |requests| limits.take(&compile(&resources(requests), &mut state)).map(|sent| limits_of(&sent));
    assert_eq!(sent(0), Some(vec![]));
    assert_eq!(sent(0), None);
    assert_eq!(sent(3), Some(vec![3]));
    assert_eq!(sent(3), None);
    assert_eq!(sent(4), Some(vec![4]));
    assert_eq!(sent(0), Some(vec![]));
}

#[test]
fn refusals_are_counted() {
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry);
    let event = |outcome| Event {
        group: LIMITS.into(),
        stream: xds::StreamId(1),
        type_url: RATE_LIMIT_CONFIG.into(),
        revision: 1,
        sent_at: std::time::Instant::now(),
        answered_at: std::time::Instant::now(),
        outcome,
    };
    metrics.snapshot(LIMITS);
    answered(&event(xds::Outcome::Acked), &metrics);
    answered(&event(xds::Outcome::Nacked("a unit of time is missing".into())), &metrics);
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let counted = r#"fleet="ratelimit",outcome="nack",type="RateLimitConfig"} 1"#;
    assert!(text.contains(counted), "{text}");
}

#[test]
fn a_service_gets_what_its_certificate_is_for() {
    let admitted = |uri: Option<&str>, cluster: &str, address: Option<&str>| {
        let identity = uri.map(|uri| Arc::new(kit::tls::Identity { uris: vec![uri.to_owned()], ..Default::default() }));
        let peer = kit::incoming::Peer { address: address.map(|text| text.parse().unwrap()), identity };
        admission()(&peer, &envoy::core::Node { cluster: cluster.to_owned(), ..Default::default() })
    };
    let (socket, here) = (None, Some("127.0.0.1:1"));
    assert_eq!(admitted(Some(SINGLE_SIGN_ON), "ratelimit", here), Ok(Arc::from(LOGINS)));
    assert_eq!(admitted(Some(RATE_LIMIT), "oidc", here), Ok(Arc::from(LIMITS)));
    assert!(admitted(Some("spiffe://portcullis/fleets"), "oidc", here).is_err());
    assert_eq!(admitted(None, "oidc", socket), Ok(Arc::from(LOGINS)));
    assert_eq!(admitted(None, "", socket), Ok(Arc::from(LIMITS)));
    assert_eq!(admitted(None, "", here), Ok(Arc::from(LIMITS)));
    assert!(admitted(None, "oidc", here).is_err(), "any program of this machine could ask");
}
