//! The audit log at a collector.

use std::net::SocketAddr;

use kit::testing::collector::{Collector, attribute, body, text};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::Value;
use testbed::PATIENCE;
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
