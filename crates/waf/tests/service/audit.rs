//! The audit log at a collector.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use serde_json::Value;
use testbed::PATIENCE;
use testbed::wait::{wait_for, wait_until};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::envoy::{Edge, INJECTION};
use crate::house::Service;

/// A collector that keeps what it takes, and first answers with these codes. It is there as long as the test.
#[derive(Clone, Default)]
struct Collector {
    answers: Arc<Mutex<Vec<Code>>>,
    taken: Arc<Mutex<Vec<ResourceLogs>>>,
    tokens: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        if let Some(code) = self.answers.lock().unwrap().pop() {
            return Err(Status::new(code, "not now"));
        }
        let token = request.metadata().get("x-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.tokens.lock().unwrap().push(token.to_owned());
        self.taken.lock().unwrap().extend(request.into_inner().resource_logs);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Collector {
    async fn start(&self) -> SocketAddr {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        tokio::spawn(Server::builder().add_service(LogsServiceServer::new(self.clone())).serve_with_incoming(incoming));
        address
    }

    fn records(&self) -> Vec<LogRecord> {
        let taken = self.taken.lock().unwrap();
        taken.iter().flat_map(|logs| &logs.scope_logs).flat_map(|logs| logs.log_records.clone()).collect()
    }
}

fn text(value: Option<&AnyValue>) -> &str {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a AnyValue> {
    attributes.iter().find(|one| one.key == name)?.value.as_ref()
}

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
    collector.answers.lock().unwrap().extend([Code::Unavailable, Code::ResourceExhausted]);
    let (service, edge) = service(collector.start().await).await;
    assert_eq!(edge.get(&format!("/?id={INJECTION}")).await.status.as_u16(), 403);
    let record = wait_for("the record", PATIENCE, async || collector.records().into_iter().next()).await.unwrap();
    assert_eq!((record.event_name.as_str(), record.severity_text.as_str()), ("waf.audit", "WARN"));
    let attributes = &record.attributes;
    let of = |name: &str| text(attribute(attributes, name));
    assert_eq!((of("waf.profile"), of("waf.verdict"), of("http.request.method")), ("baseline", "block", "GET"));
    let Some(Any::ArrayValue(rules)) = attribute(attributes, "waf.rules").and_then(|value| value.value.clone()) else {
        panic!("{attributes:?}");
    };
    assert!(rules.values.iter().any(|rule| rule.value == Some(Any::IntValue(942_100))), "{rules:?}");
    let entry: Value = serde_json::from_str(text(record.body.as_ref())).unwrap();
    assert_eq!((&entry["verdict"], entry["id"].as_str()), (&"block".into(), Some(of("waf.request"))));
    let resource = collector.taken.lock().unwrap()[0].resource.clone().unwrap();
    assert_eq!(text(attribute(&resource.attributes, "service.name")), "waf");
    assert_eq!(*collector.tokens.lock().unwrap(), ["t1"]);
    assert!(service.metric(r#"waf_audit_entries_total{outcome="lost"}"#).await < 1.0);
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_as_lost_and_others_follow() {
    let collector = Collector::default();
    collector.answers.lock().unwrap().push(Code::PermissionDenied);
    let (service, edge) = service(collector.start().await).await;
    let attack = format!("/?id={INJECTION}");
    assert_eq!(edge.get(&attack).await.status.as_u16(), 403);
    service.reaches(r#"waf_audit_entries_total{outcome="lost"}"#, 1.0).await;
    assert_eq!(edge.get(&attack).await.status.as_u16(), 403);
    wait_until("the next record", PATIENCE, async || collector.records().len() == 1).await.unwrap();
}
