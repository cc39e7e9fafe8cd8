//! A control plane, asked by gRPC.

use envoy::discovery::{DiscoveryRequest, DiscoveryResponse};
use envoy::service::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

/// The most of one response.
const MOST: usize = 64 << 20;

/// A channel to a control plane, which connects when it is used.
pub(crate) struct Plane(pub(crate) Channel);

/// One stream of the state-of-the-world protocol with a control plane.
pub(crate) struct Discovery {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: tonic::Streaming<DiscoveryResponse>,
}

impl Plane {
    /// Opens a stream with its first request.
    pub(crate) async fn open(&self, first: DiscoveryRequest) -> Result<Discovery, Status> {
        // One answer waits while the next is looked at.
        let (requests, outgoing) = mpsc::channel(2);
        let _ = requests.try_send(first);
        let mut client = AggregatedDiscoveryServiceClient::new(self.0.clone()).max_decoding_message_size(MOST);
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
