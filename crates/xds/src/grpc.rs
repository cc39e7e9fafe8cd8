//! The aggregated discovery service over gRPC: the only module that names tonic.
//!
//! Each stream is one task that owns a [`crate::session::Session`] and wakes for a request, a new snapshot, the end of a
//! wait or the end of the process.

pub(crate) mod plane;
mod stream;
mod wire;

use std::convert::Infallible;
use std::time::Duration;

use envoy::service::discovery::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy::service::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse};
use kit::drain::Shutdown;
use kit::grpc::Routes;
use kit::incoming::{Incoming, Peer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::cache::Cache;
use crate::ledger::LedgerBook;
use crate::peer::Admission;
use crate::session::HOLD;
use wire::Wire;

/// Responses made but not yet taken by the transport. A type has one response in flight, so that this is never full while
/// a client asks for fewer types than that.
const OUTBOX: usize = 16;

/// The aggregated discovery service. Cheap to clone.
#[derive(Clone)]
pub struct Ads {
    cache: Cache,
    book: LedgerBook,
    admission: Admission,
    shutdown: Shutdown,
    hold: Duration,
}

impl Ads {
    /// A service of these snapshots. Its streams end when `shutdown` stops: Envoy keeps what it has and connects again.
    pub fn new(cache: Cache, book: LedgerBook, admission: Admission, shutdown: Shutdown) -> Self {
        Self { cache, book, admission, shutdown, hold: HOLD }
    }

    /// Bounds how long a type waits for others; [`HOLD`] unless said otherwise.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// The service, to be served by `kit::grpc::serve`.
    pub fn routes(self) -> Routes {
        // Ten thousand resources in one response, or as many names in one request, are more than gRPC's usual 4 MiB.
        let server = AggregatedDiscoveryServiceServer::new(self)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Routes::new(server, tonic::service::Routes::default())
    }

    /// Serves it on these connections until the process stops.
    pub async fn serve(self, incoming: Incoming) -> Result<(), Infallible> {
        let shutdown = self.shutdown.clone();
        kit::grpc::serve(incoming, self.routes(), &shutdown).await
    }

    fn open<W: Wire>(&self, request: Request<Streaming<W::Request>>) -> Response<Outbox<W::Response>> {
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let (sender, responses) = mpsc::channel(OUTBOX);
        tokio::spawn(stream::run::<W>(self.clone(), peer, request.into_inner(), sender));
        Response::new(ReceiverStream::new(responses))
    }
}

type Outbox<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = Outbox<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Outbox<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Ok(self.open::<wire::Sotw>(request))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Ok(self.open::<wire::Delta>(request))
    }
}
