//! The gRPC side. The only file that names tonic.

use std::sync::Arc;
use std::time::SystemTime;

use envoy::service::ratelimit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use kit::Kit;
use kit::incoming::Incoming;
use tonic::{Request, Response, Status};

use crate::decide::{Limiter, Malformed};
use crate::limit::Millis;

const SERVICES: &[&str] = &["envoy.service.ratelimit.v3.RateLimitService"];

/// Serves until the process stops.
pub(crate) async fn serve(incoming: Incoming, kit: &Kit, limiter: Arc<Limiter>) -> Result<(), tonic::transport::Error> {
    let mut routes = kit::grpc::routes_with_health(&kit.gates, SERVICES, &kit.tasks, &kit.shutdown).await;
    routes.add_service(RateLimitServiceServer::new(Service(limiter)));
    kit::grpc::serve(incoming, routes.routes(), &kit.shutdown).await
}

struct Service(Arc<Limiter>);

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        match self.0.decide(request.get_ref(), now()).await {
            Ok(response) => Ok(Response::new(response)),
            Err(malformed) => Err(status(&malformed)),
        }
    }
}

/// Envoy treats every error alike (its `failure_mode_deny`); the code is for people and other clients.
fn status(malformed: &Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

/// The time of this machine.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
