//! The gRPC side: streams of access logs. The only file that names tonic.
//!
//! Messages are taken as bytes and read in place, so that one that is broken ends no stream. A stream is read no faster than it
//! is counted: Envoy waits, keeps entries in its buffer, and says how many it dropped when that is full.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use envoy::service::accesslog::StreamAccessLogsResponse;
use http::{Request, Response};
use kit::Kit;
use kit::drain::Shutdown;
use kit::grpc::Routes;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::server::{ClientStreamingService, Grpc, NamedService};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstEncoder;

use crate::ingest::Ingest;

/// The file that declares the service.
const PROTO: &str = "envoy/service/accesslog/v3/als.proto";

/// What is served: the service, health and reflection.
pub(crate) async fn routes(kit: &Kit, ingest: Arc<Ingest>, max_message: usize) -> Routes {
    let service = AccessLogs { ingest, max_message, shutdown: kit.shutdown.clone() };
    kit::grpc::routes(kit, service, envoy::file_descriptors(PROTO)).await
}

/// The service `envoy.service.accesslog.v3.AccessLogService`.
#[derive(Clone)]
struct AccessLogs {
    ingest: Arc<Ingest>,
    max_message: usize,
    shutdown: Shutdown,
}

impl NamedService for AccessLogs {
    const NAME: &'static str = "envoy.service.accesslog.v3.AccessLogService";
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl tower::Service<Request<Body>> for AccessLogs {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs" {
                return Ok(Status::unimplemented("the service has StreamAccessLogs only").into_http());
            }
            let mut grpc = Grpc::new(Raw).max_decoding_message_size(service.max_message);
            Ok(grpc.client_streaming(service, request).await)
        })
    }
}

impl ClientStreamingService<Bytes> for AccessLogs {
    type Response = StreamAccessLogsResponse;
    type Future = Answer<tonic::Response<StreamAccessLogsResponse>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut stream = service.ingest.begin();
            let all = service.take(request.into_inner(), &mut stream);
            let taken = service.shutdown.unless_stopping(all).await;
            service.ingest.end();
            // Envoy opens the stream anew, at another exporter when this one goes.
            taken.unwrap_or_else(|| Err(Status::unavailable("shutting down")))
        })
    }
}

impl AccessLogs {
    async fn take(
        &self,
        mut messages: Streaming<Bytes>,
        stream: &mut crate::ingest::Stream,
    ) -> Result<tonic::Response<StreamAccessLogsResponse>, Status> {
        loop {
            match messages.message().await {
                Ok(Some(message)) => self.ingest.message(stream, &message),
                Ok(None) => return Ok(tonic::Response::new(StreamAccessLogsResponse {})),
                Err(error) => {
                    if error.code() == Code::OutOfRange {
                        self.ingest.too_large();
                        tracing::warn!("a message of more than {} bytes (grpc.maxMessage)", self.max_message);
                    }
                    return Err(error);
                }
            }
        }
    }
}

/// Messages come as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = StreamAccessLogsResponse;
    type Decode = Bytes;
    type Encoder = ProstEncoder<StreamAccessLogsResponse>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
