//! The gRPC side. The only file that names tonic.

use std::pin::Pin;
use std::sync::Arc;

use envoy::service::ext_proc::external_processor_server::{ExternalProcessor, ExternalProcessorServer};
use envoy::service::ext_proc::{ProcessingRequest, ProcessingResponse};
use futures::{Stream, StreamExt as _, stream};
use kit::Kit;
use kit::drain::Shutdown;
use kit::grpc::Routes;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::facts::Called;
use crate::firewall::Firewall;
use crate::session::{Malformed, Session};

/// The file that declares the service.
const PROTO: &str = "envoy/service/ext_proc/v3/external_processor.proto";

/// What is served: the service, health and reflection.
pub(crate) async fn routes(kit: &Kit, service: Service, max_message: usize) -> Routes {
    let server = ExternalProcessorServer::new(service).max_decoding_message_size(max_message);
    kit::grpc::routes(kit, server, envoy::file_descriptors(PROTO)).await
}

/// What Envoy asks.
pub(crate) struct Service {
    pub(crate) firewall: Arc<Firewall>,
    /// Whether traces are sent: then each request is a span of the caller's trace.
    pub(crate) traced: bool,
    pub(crate) shutdown: Shutdown,
}

type Answers = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for Service {
    type ProcessStream = Answers;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Answers>, Status> {
        let called = Called::of(|name| request.metadata().get(name)?.to_str().ok());
        let span = if self.traced {
            let span = tracing::info_span!("Process", profile = Empty, refused = Empty);
            kit::trace::adopt_parent(&span, |name| request.metadata().get(name)?.to_str().ok());
            span
        } else {
            tracing::Span::none()
        };
        let session = Session::new(Arc::clone(&self.firewall), called);
        let call = Call { session, messages: request.into_inner(), span, firewall: Arc::clone(&self.firewall) };
        let answers = stream::unfold(Some(call), |call| async move {
            let mut call = call?;
            match call.next().await? {
                Ok(answers) => Some((stream::iter(answers.into_iter().map(Ok)).left_stream(), Some(call))),
                Err(status) => Some((stream::iter([Err(status)]).right_stream(), None)),
            }
        });
        let shutdown = self.shutdown.clone();
        let answers = answers.flatten().take_until(async move { shutdown.forced().await });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// One stream of messages and what is made of it.
struct Call {
    session: Session,
    messages: Streaming<ProcessingRequest>,
    span: tracing::Span,
    firewall: Arc<Firewall>,
}

impl Call {
    /// The answers to the next message, `None` at the end of the stream.
    async fn next(&mut self) -> Option<Result<Vec<ProcessingResponse>, Status>> {
        let message = match self.messages.message().await {
            Ok(message) => message?,
            Err(status) => {
                // Envoy resets the stream when a request ends before its time; that is no fault.
                if status.code() != tonic::Code::Cancelled && status.code() != tonic::Code::Unknown {
                    self.firewall.observer.metrics.malformed.with_label_values(&["undecodable"]).inc();
                }
                return None;
            }
        };
        let answers = self.session.message(message).instrument(self.span.clone()).await;
        Some(answers.map_err(|malformed| self.malformed(malformed)))
    }

    fn malformed(&self, malformed: Malformed) -> Status {
        tracing::warn!("a stream is ended: {malformed}");
        self.firewall.observer.metrics.malformed.with_label_values(&[malformed.name()]).inc();
        Status::invalid_argument(malformed.to_string())
    }
}
