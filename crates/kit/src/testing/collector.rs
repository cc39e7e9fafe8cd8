//! A collector that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

/// A collector. Clones are the same; it is there as long as the test.
#[derive(Debug, Clone, Default)]
pub struct Collector(Arc<Mutex<Taken>>);

/// What a collector was sent, and how it answers.
#[derive(Debug, Default)]
pub struct Taken {
    /// The codes of its next answers, the last one first; then it takes everything.
    pub answers: Vec<Code>,
    /// Whether it gives no answer at all.
    pub hangs: bool,
    /// Records.
    pub records: Vec<LogRecord>,
    /// Metrics of each request.
    pub metrics: Vec<Vec<Metric>>,
    /// Spans.
    pub spans: Vec<Span>,
    /// How many requests came, with those that were refused.
    pub asked: usize,
    /// Who sent last.
    pub resource: Option<Resource>,
    /// The header `x-token` of the last request.
    pub token: String,
}

impl Collector {
    /// Serves on a free port.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(&self) -> SocketAddr {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let address = incoming.local_addr().expect("it is bound");
        let server = Server::builder()
            .add_service(LogsServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        address
    }

    /// What it was sent so far.
    pub fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, metadata: &MetadataMap, resource: Option<Resource>) -> Result<(), Status> {
        let answer = {
            let mut taken = self.taken();
            taken.asked += 1;
            taken.token = metadata.get("x-token").and_then(|token| token.to_str().ok()).unwrap_or_default().to_owned();
            taken.resource = resource;
            if taken.hangs { None } else { Some(taken.answers.pop()) }
        };
        match answer {
            None => std::future::pending().await,
            Some(Some(code)) => Err(Status::new(code, "not now")),
            Some(None) => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let resource = message.resource_logs.first().and_then(|logs| logs.resource.clone());
        self.answer(&metadata, resource).await?;
        let logs = message.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
        self.taken().records.extend(logs.flat_map(|logs| logs.log_records));
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let resource = message.resource_metrics.first().and_then(|metrics| metrics.resource.clone());
        self.answer(&metadata, resource).await?;
        let metrics = message.resource_metrics.into_iter().flat_map(|metrics| metrics.scope_metrics);
        self.taken().metrics.push(metrics.flat_map(|metrics| metrics.metrics).collect());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let resource = message.resource_spans.first().and_then(|spans| spans.resource.clone());
        self.answer(&metadata, resource).await?;
        let spans = message.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        self.taken().spans.extend(spans.flat_map(|spans| spans.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The value of an attribute.
pub fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Any> {
    attributes.iter().find(|one| one.key == name)?.value.as_ref()?.value.as_ref()
}

/// An attribute that is text; nothing when there is none.
pub fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match attribute(attributes, name) {
        Some(Any::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// The text of a body.
pub fn body(record: &LogRecord) -> &str {
    match &record.body {
        Some(AnyValue { value: Some(Any::StringValue(text)) }) => text,
        _ => "",
    }
}
