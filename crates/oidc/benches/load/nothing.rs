//! A service that lets everything pass without a look: what a call costs before anything is decided.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use envoy::service::auth::authorization_server::{Authorization, AuthorizationServer};
use envoy::service::auth::check_response::HttpResponse;
use envoy::service::auth::{CheckRequest, CheckResponse, OkHttpResponse};
use kit::drain::Shutdown;
use kit::grpc::Routes;
use kit::incoming::Incoming;
use kit::lanes::Lanes;
use kit::net::{Address, Listener, Purpose};
use tonic::{Request, Response, Status};

struct Nothing;

#[tonic::async_trait]
impl Authorization for Nothing {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let pass = Some(HttpResponse::OkResponse(OkHttpResponse::default()));
        Ok(Response::new(CheckResponse { http_response: pass, ..CheckResponse::default() }))
    }
}

/// Serves on a socket as the real service does, until the process is killed.
pub(crate) async fn serve(socket: &Path) -> Result<()> {
    let shutdown = Shutdown::new();
    let purpose = Purpose { name: "grpc", setting: "the argument" };
    let listener = Listener::bind(&Address::Unix(socket.to_owned()), purpose).await?;
    let routes = Routes::new(AuthorizationServer::new(Nothing), tonic::service::Routes::default());
    let (lanes, incoming) = (Lanes::start_gathered()?, Incoming::start(listener, None, &shutdown));
    kit::grpc::serve_in(&lanes, incoming, routes, &shutdown, Duration::MAX).await?;
    Ok(())
}
