//! The gRPC side: what Envoy asks. The only file that names tonic.

use std::sync::Arc;

use envoy::service::ratelimit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use kit::Kit;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use crate::clock;
use crate::decide::{Limiter, Malformed};

const SERVICES: &[&str] = &["envoy.service.ratelimit.v3.RateLimitService"];
/// The file that declares the service.
const PROTO: &str = "envoy/service/ratelimit/v3/rls.proto";

/// What is served: the service, health and reflection.
pub(crate) async fn routes(kit: &Kit, service: Service) -> Routes {
    let mut routes = kit::grpc::routes_with_health(&kit.gates, SERVICES, &kit.tasks, &kit.shutdown).await;
    routes.add_service(RateLimitServiceServer::new(service));
    let files = tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(envoy::file_descriptors(PROTO))
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    match files.build_v1() {
        Ok(reflection) => drop(routes.add_service(reflection)),
        Err(error) => tracing::error!(%error, "no reflection"),
    }
    routes.routes()
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
