//! The audit log: in ModSecurity's format, at a collector, and when there is no room for it.

use std::net::SocketAddr;

use kit::testing::collector::{Collector, attribute, body, text};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::Value;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::wait::{wait_for, wait_until};
use tonic::Code;

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

async fn service(collector: SocketAddr) -> (Service, Edge) {
    let service = Service::start_bare(&format!(
        "audit: {{otlp: {{endpoint: 'http://{collector}', headers: {{x-token: t1}}}}}}\n"
    ))
    .await;
    let edge = Edge::start(&service).await;
    (service, edge)
}

#[tokio::test]
async fn entries_reach_a_collector_that_is_busy_at_first() {
    let collector = Collector::default();
    collector.taken().answers.extend([Code::Unavailable, Code::ResourceExhausted]);
    let (service, edge) = service(collector.start()).await;
    assert_eq!(edge.get(&format!("/?id={INJECTION}")).await.status.as_u16(), 403);
    let record = async || collector.taken().records.first().cloned();
    let record = wait_for("the record", PATIENCE, record).await.unwrap();
    assert_eq!((record.event_name.as_str(), record.severity_text.as_str()), ("waf.audit", "WARN"));
    let attributes = &record.attributes;
    let of = |name: &str| text(attributes, name).unwrap();
    assert_eq!((of("waf.profile"), of("waf.verdict"), of("http.request.method")), ("baseline", "block", "GET"));
    let Some(Any::ArrayValue(rules)) = attribute(attributes, "waf.rules") else {
        panic!("{attributes:?}");
    };
    assert!(rules.values.iter().any(|rule| rule.value == Some(Any::IntValue(942_100))), "{rules:?}");
    let entry: Value = serde_json::from_str(body(&record)).unwrap();
    assert_eq!((&entry["verdict"], entry["id"].as_str()), (&"block".into(), Some(of("waf.request"))));
    let (resource, token, asked) = {
        let taken = collector.taken();
        (taken.resource.clone().unwrap(), taken.token.clone(), taken.asked)
    };
    assert_eq!(text(&resource.attributes, "service.name"), Some("waf"));
    assert_eq!((token.as_str(), asked), ("t1", 3));
    assert!(service.metric(r#"waf_audit_entries_total{outcome="lost"}"#).await < 1.0);
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_as_lost_and_others_follow() {
    let collector = Collector::default();
    collector.taken().answers.push(Code::PermissionDenied);
    let (service, edge) = service(collector.start()).await;
    let attack = format!("/?id={INJECTION}");
    assert_eq!(edge.get(&attack).await.status.as_u16(), 403);
    service.reaches(r#"waf_audit_entries_total{outcome="lost"}"#, 1.0).await;
    assert_eq!(edge.get(&attack).await.status.as_u16(), 403);
    wait_until("the next record", PATIENCE, async || collector.taken().records.len() == 1).await.unwrap();
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted_and_no_request_waits() {
    let collector = Collector::default();
    collector.taken().hangs = true;
    let settings = format!("audit: {{queue: 1, otlp: {{endpoint: 'http://{}'}}}}\n", collector.start());
    let service = Service::start_bare(&settings).await;
    let edge = Edge::start(&service).await;
    let dropped = async || {
        // Each is answered, although nothing of the log moves.
        assert_eq!(edge.get(&format!("/?id={INJECTION}")).await.status.as_u16(), 403);
        service.metric(r#"waf_audit_entries_total{outcome="dropped"}"#).await > 0.0
    };
    wait_until("a dropped entry", PATIENCE, dropped).await.unwrap();
}

#[tokio::test]
async fn the_native_format_has_its_parts() {
    let profile = "name: own\nextends: baseline\nresponse: {inspect: true}\ndirectives: |\n  \
                   SecAction \"id:10001,phase:5,pass,log,msg:'at the end',severity:NOTICE\"\n";
    let more = "format: native, parts: [requestHeaders, responseHeaders, values]";
    let settings = "defaultProfile: own\n";
    let service = Service::start_with_audit(&[("own.yaml", profile)], settings, more).await;
    let edge = Edge::start(&service).await;
    let request = Request::get(&edge.url("/cats?password=canary")).header("authorization", "Bearer canary");
    assert_eq!(request.send().await.unwrap().status.as_u16(), 200);
    let log = async || std::fs::read_to_string(service.audit_log()).ok().filter(|text| text.contains("-Z--"));
    let log = wait_for("the entry", PATIENCE, log).await.unwrap();
    for part in ["-A--\n[", "-B--\nGET /cats?password=*** HTTP/1.1\n", "\nauthorization: ***\n", "-F--\nHTTP/1.1 200\n"]
    {
        assert!(log.contains(part), "{part}: {log}");
    }
    // A rule of the last phase, when the request is over.
    assert!(log.contains("[id \"10001\"] [msg \"at the end\"]") && log.contains("Action: pass"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}
