//! A real Envoy sends to the exporter, which comes and goes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::chromium::Chromium;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::pki::Ca;
use testbed::wait::wait_until;
use testbed::{envoy, front};

use crate::house::Service;

/// Nothing is sent there.
pub(crate) const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// What the controller makes of a sink of records.
fn log() -> Value {
    log_with(1_048_576)
}

/// Everything is answered by Envoy itself.
pub(crate) fn answered() -> Value {
    json!({ "name": "all", "domains": ["*"], "routes": [
        { "match": { "prefix": "/" }, "direct_response": { "status": 200 } },
    ]})
}

/// The same with a buffer of so many bytes.
pub(crate) fn log_with(buffer: u32) -> Value {
    json!({ "access_log": [{ "name": "envoy.access_loggers.http_grpc", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        "common_config": {
            "log_name": "accesslog/edge/eg",
            "custom_tags": [{ "tag": "portcullis.ja4", "value": "%TLS_JA4_FINGERPRINT%" }],
            "transport_api_version": "V3",
            "buffer_size_bytes": buffer,
            "buffer_flush_interval": "0.05s",
            "grpc_service": { "envoy_grpc": { "cluster_name": "exporter" } },
        },
    }}]})
}

#[tokio::test]
async fn an_exporter_that_is_killed_harms_no_request_and_what_is_lost_is_known() {
    let service = Service::start("").await;
    let backend = Echo::http().name("a").spawn().await.unwrap();
    let front = front::Spec::new("exporter", service.grpc.parse().unwrap()).manager(&log());
    let (envoy, address) = front.start(backend.address()).await.unwrap();
    let ask = async |times: usize| {
        for _ in 0..times {
            let answer = Request::get(&format!("http://{address}/")).send().await.unwrap();
            assert_eq!(answer.status, 200);
        }
    };
    let received = |service: &Service| {
        let admin = service.admin.clone();
        async move { testbed::service::metric(&admin, r#"exporter_entries_total{kind="request"}"#).await.unwrap() }
    };
    ask(30).await;
    service.reaches(r#"exporter_entries_total{kind="request"}"#, 30.0).await;

    // Gone, while requests go on; the next one has the same address.
    let grpc = service.grpc.clone();
    drop(service);
    ask(20).await;
    let written = "access_logs.grpc_access_log.logs_written";
    let told = async || envoy.stat(written).await.unwrap() == 50;
    wait_until("all entries to be written", PATIENCE, told).await.unwrap();
    let url = format!("http://{}/stats", envoy.admin());
    let settings = format!("grpc: {{address: '{grpc}'}}\nenvoys: {{stats: ['{url}'], interval: 1s}}\n");
    let service = Service::start(&settings).await;
    let label = format!("{{envoy=\"{}\"}}", envoy.admin());

    // It comes back by itself; of what was sent, the rest is known to be lost.
    let comes = async || {
        ask(1).await;
        received(&service).await > 0.0
    };
    wait_until("entries at the new exporter", PATIENCE, comes).await.unwrap();
    let before = received(&service).await;
    ask(10).await;
    let more = async || received(&service).await >= before + 10.0;
    wait_until("all entries at the new exporter", PATIENCE, more).await.unwrap();
    #[allow(clippy::cast_precision_loss)]
    let sent = envoy.stat(written).await.unwrap() as f64;
    service.reaches(&format!("exporter_envoy_written_total{label}"), sent).await;
    assert_eq!(service.metric(&format!("exporter_envoy_dropped_total{label}")).await, 0.0);
    let lost = sent - 30.0 - received(&service).await;
    assert!((0.0..=sent - 40.0).contains(&lost), "{lost} of {sent}");
    assert_eq!(service.metric(&format!("gateway_active_requests{label}")).await, 0.0);
}

/// Routes that Envoy answers itself, for all kinds of reasons, or nothing does.
fn refusing() -> Value {
    let route = |path: &str, action: (&str, Value)| json!({ "match": { "prefix": path }, action.0: action.1 });
    let to = |cluster: &str| ("route", json!({ "cluster": cluster }));
    json!({ "name": "all", "domains": ["shop.example"], "routes": [
        route("/fine", to("backend")),
        route("/ill", to("ill")),
        route("/shut", to("shut")),
        route("/nowhere", to("nowhere")),
        route("/slow", ("route", json!({ "cluster": "backend", "timeout": "0.05s" }))),
        route("/broken", ("direct_response", json!({ "status": 500 }))),
        route("/moved", ("redirect", json!({ "path_redirect": "/fine" }))),
    ]})
}

/// Clusters beside the usual: one without end points, one where nobody listens.
fn clusters() -> [Value; 2] {
    let shut =
        json!([{ "endpoint": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 1 } } } }]);
    let cluster = |name: &str, endpoints: Value| {
        json!({ "name": name, "type": "STATIC", "load_assignment": {
            "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }],
        }})
    };
    [cluster("ill", json!([])), cluster("shut", shut)]
}

#[tokio::test]
async fn whatever_envoy_refuses_is_on_the_live_page_with_its_reason() {
    let service = Service::start("").await;
    let backend = Echo::http().name("a").spawn().await.unwrap();
    let spec = front::Spec::new("exporter", service.grpc.parse().unwrap()).manager(&log());
    let mut bootstrap = spec.hosts(&[refusing()]).bootstrap(backend.address());
    bootstrap["static_resources"]["clusters"].as_array_mut().unwrap().extend(clusters());
    let manager = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    // Names of clusters are looked up when somebody asks.
    manager["route_config"]["validate_clusters"] = json!(false);
    let envoy = envoy::Spec::new(bootstrap.to_string()).start().await.unwrap();
    let address = envoy.listener("http").await.unwrap();
    let ask = async |host: &str, path: &str| {
        let request = Request::get(&format!("http://{host}{path}")).to(address);
        request.send().await.unwrap().status.as_u16()
    };
    let mut browser = Chromium::start(NOBODY).await.unwrap();
    browser.open(&format!("http://{}/", service.admin)).await.unwrap();
    wait_until("the page", PATIENCE, async || {
        browser.evaluate("document.getElementById('state').textContent === 'live'").await == Some(json!(true))
    })
    .await
    .unwrap();

    for (path, status, wanted) in [
        ("/ill", 503, ["no healthy upstream", "UH"]),
        ("/shut", 503, ["upstream reset", "remote_connection_failure"]),
        ("/nowhere", 503, ["no cluster", "cluster_not_found"]),
        ("/slow?delay=2s", 504, ["upstream timeout", "UT"]),
        ("/broken", 500, ["direct response", "GET shop.example/broken"]),
        ("/else", 404, ["no route", "NR"]),
    ] {
        assert_eq!(ask("shop.example", path).await, status, "{path}");
        let told = format!(
            "[...document.querySelectorAll('#events li')].some(item => {}.every(text => item.innerText.includes(text)))",
            json!([wanted[0], wanted[1], status.to_string()])
        );
        let shown = async || browser.evaluate(&told).await == Some(json!(true));
        let told = wait_until(&format!("{path} with {wanted:?}"), PATIENCE, shown).await;
        let list = browser.evaluate("document.getElementById('events').innerText").await;
        assert!(told.is_ok(), "no {wanted:?} in {list:?}");
    }
    // What is answered, and a redirect, is refused by nobody.
    assert_eq!((ask("shop.example", "/fine").await, ask("shop.example", "/moved").await), (200, 301));
    service.reaches(r#"exporter_entries_total{kind="request"}"#, 8.0).await;
    assert_eq!(ask("other.example", "/").await, 404);
    let last = "document.querySelector('#events li').innerText.includes('other.example') \
                && document.querySelectorAll('#events li').length === 7";
    let shown = async || browser.evaluate(last).await == Some(json!(true));
    wait_until("a host that nobody serves, and nothing else", PATIENCE, shown).await.unwrap();
}

#[tokio::test]
async fn an_envoy_that_does_not_answer_is_counted() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service::start(&format!("envoys: {{stats: ['http://{nobody}/stats'], interval: 1s}}\n")).await;
    let failed = async || service.metric(&format!("exporter_envoy_failures_total{{envoy=\"{nobody}\"}}")).await >= 1.0;
    wait_until("a failure", PATIENCE, failed).await.unwrap();
}

#[tokio::test]
async fn clients_are_known_by_their_tls() {
    let service = Service::start("").await;
    let authority = Ca::new("house").unwrap();
    let spec = front::Spec::new("exporter", service.grpc.parse().unwrap()).manager(&log());
    let spec = spec.tls(&authority.server(&["edge.example"]).unwrap());
    let mut bootstrap = spec.hosts(&[answered()]).bootstrap(NOBODY);
    bootstrap["static_resources"]["listeners"][0]["listener_filters"] = json!([{
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
            "enable_ja3_fingerprinting": true,
            "enable_ja4_fingerprinting": true,
        },
    }]);
    let envoy = envoy::Spec::new(bootstrap.to_string()).start().await.unwrap();
    let request = Request::get("https://edge.example/").to(envoy.listener("http").await.unwrap()).ca(authority.pem());
    for _ in 0..3 {
        assert_eq!(request.send().await.unwrap().status, 200);
    }
    service.reaches(r#"exporter_entries_total{kind="request"}"#, 3.0).await;
    let top: Value = serde_json::from_str(&service.page("/top").await).unwrap();
    let of = |list: &str| (top[list][0]["key"].as_str().unwrap().to_owned(), top[list][0]["hits"].clone());
    let (ja4, hits) = of("ja4");
    // TLS 1.3 over TCP to a name, then three parts of which two are hashes.
    assert!(ja4.starts_with("t13d") && ja4.split('_').map(str::len).eq([10, 12, 12]), "{ja4}");
    assert_eq!(hits, 3);
    // A client that shuffles its extensions has another one each time: what JA4 is better at.
    assert_eq!(of("ja3").0.len(), 32);
}
