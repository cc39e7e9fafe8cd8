//! The gRPC side: what Envoy asks. The only file that names tonic.

use std::sync::Arc;

use envoy::service::ratelimit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use kit::Kit;
use kit::grpc::Routes;
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
        let (asked, now) = (request.get_ref(), clock::now());
        let decided = if self.traced {
            let span = tracing::info_span!("ShouldRateLimit", domain = asked.domain);
            kit::trace::adopt_parent(&span, |name| request.metadata().get(name)?.to_str().ok());
            // Apart: what is not traced need not be as large as both.
            Box::pin(self.limiter.decide(asked, now).instrument(span)).await
        } else {
            self.limiter.decide(asked, now).await
        };
        decided.map(Response::new).map_err(|malformed| status(&malformed))
    }
}

/// Envoy treats every error alike (its `failure_mode_deny`); the code is for people and other clients.
fn status(malformed: &Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}
