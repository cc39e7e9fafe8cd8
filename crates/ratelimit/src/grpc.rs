//! The gRPC side: what Envoy asks, and the control plane that sends rules. The only file that names tonic.

use std::sync::Arc;

use envoy::discovery::{DiscoveryRequest, DiscoveryResponse};
use envoy::service::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy::service::ratelimit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use kit::Kit;
use kit::grpc::Routes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use crate::clock;
use crate::decide::{Limiter, Malformed};

/// The file that declares the service.
const PROTO: &str = "envoy/service/ratelimit/v3/rls.proto";

/// What is served: the service, health and reflection.
pub(crate) async fn routes(kit: &Kit, service: Service, max_message: usize) -> Routes {
    let server = RateLimitServiceServer::new(service).max_decoding_message_size(max_message);
    kit::grpc::routes(kit, server, envoy::file_descriptors(PROTO)).await
}

/// What Envoy asks.
pub(crate) struct Service {
    pub(crate) limiter: Arc<Limiter>,
    /// Whether traces are sent: then each decision is a span of the caller's trace.
    pub(crate) traced: bool,
}

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let decision = self.limiter.decide(request.get_ref(), clock::now());
        let decided = if self.traced {
            let span = tracing::info_span!("ShouldRateLimit", domain = request.get_ref().domain);
            kit::trace::adopt_parent(&span, |name| request.metadata().get(name)?.to_str().ok());
            decision.instrument(span).await
        } else {
            decision.await
        };
        decided.map(Response::new).map_err(|malformed| status(&malformed))
    }
}

/// Envoy treats every error alike (its `failure_mode_deny`); the code is for people and other clients.
fn status(malformed: &Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

/// One stream of the state-of-the-world protocol with a control plane.
pub(crate) struct Discovery {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: tonic::Streaming<DiscoveryResponse>,
}

/// A channel to a control plane, which connects when it is used.
pub(crate) struct ControlPlane(pub(crate) Channel);

impl ControlPlane {
    /// Opens a stream with its first request.
    pub(crate) async fn open(&self, first: DiscoveryRequest) -> Result<Discovery, Status> {
        // One answer waits while the next is looked at.
        let (requests, outgoing) = mpsc::channel(2);
        let _ = requests.try_send(first);
        let mut client = AggregatedDiscoveryServiceClient::new(self.0.clone()).max_decoding_message_size(64 << 20);
        let responses = client.stream_aggregated_resources(ReceiverStream::new(outgoing)).await?.into_inner();
        Ok(Discovery { requests, responses })
    }
}

impl Discovery {
    /// The next response; `None` when the other side has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        self.responses.message().await
    }

    /// Answers a response.
    pub(crate) async fn answer(&self, request: DiscoveryRequest) {
        // An error means that the stream has ended, which the next look at it says too.
        let _ = self.requests.send(request).await;
    }
}
