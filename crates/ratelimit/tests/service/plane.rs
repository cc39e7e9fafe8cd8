//! A control plane of a few lines: sends what it is told, remembers what it is answered.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use ::envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse};
use ::envoy::rls_conf::{RateLimitConfig, RateLimitDescriptor, RateLimitPolicy, RateLimitUnit};
use ::envoy::service::discovery::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use kit::drain::Shutdown;
use kit::grpc::Routes;
use kit::incoming::Incoming;
use kit::net::{Address, Listener, Purpose};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// A running control plane. Dropping it ends it.
pub(crate) struct Plane {
    pub(crate) address: Address,
    state: State,
    shutdown: Shutdown,
}

#[derive(Clone)]
struct State {
    response: Arc<watch::Sender<DiscoveryResponse>>,
    answers: Arc<Mutex<Vec<DiscoveryRequest>>>,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let shutdown = Shutdown::new();
        let purpose = Purpose { name: "plane", setting: "nothing" };
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), purpose).await.unwrap();
        let address = listener.address().clone();
        let incoming = Incoming::start(listener, None, &shutdown);
        let state = State { response: Arc::new(watch::Sender::default()), answers: Arc::default() };
        let service = AggregatedDiscoveryServiceServer::new(state.clone());
        let routes = Routes::new(service, tonic::service::Routes::default());
        let until = shutdown.clone();
        tokio::spawn(async move { kit::grpc::serve(incoming, routes, &until).await });
        Self { address, state, shutdown }
    }

    /// Sends a version: for each domain one limit of `user`.
    pub(crate) fn send(&self, version: &str, domains: &[(&str, u32)]) {
        let config = |(index, (domain, requests)): (usize, &(&str, u32))| {
            let policy = RateLimitPolicy {
                unit: RateLimitUnit::Year.into(),
                requests_per_unit: *requests,
                ..RateLimitPolicy::default()
            };
            let descriptor = RateLimitDescriptor {
                key: "user".to_owned(),
                rate_limit: Some(policy),
                ..RateLimitDescriptor::default()
            };
            ::envoy::any(&RateLimitConfig {
                name: format!("config{index}"),
                domain: (*domain).to_owned(),
                descriptors: vec![descriptor],
            })
        };
        self.state.response.send_replace(DiscoveryResponse {
            version_info: version.to_owned(),
            nonce: format!("nonce {version}"),
            type_url: ::envoy::type_url::of::<RateLimitConfig>(),
            resources: domains.iter().enumerate().map(config).collect(),
            ..DiscoveryResponse::default()
        });
    }

    /// All that was asked and answered so far.
    pub(crate) fn answers(&self) -> Vec<DiscoveryRequest> {
        self.state.answers.lock().unwrap().clone()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for State {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (mut requests, answers) = (request.into_inner(), Arc::clone(&self.answers));
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                answers.lock().unwrap().push(request);
            }
        });
        let sent = WatchStream::new(self.response.subscribe()).filter(|response| !response.nonce.is_empty());
        Ok(Response::new(Box::pin(sent.map(Ok))))
    }

    async fn delta_aggregated_resources(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("only the state of the world"))
    }
}
