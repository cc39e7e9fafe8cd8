//! A gRPC client, an Envoy that asks the firewall, and a gRPC backend. Both ends are in the hands of the test.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::envoy::Envoy;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::{BoxFuture, Service as HttpService};
use tonic::server::{NamedService, StreamingService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::envoy::front;
use crate::house::Service;

/// Messages are texts.
pub(crate) type Texts = ProstCodec<String, String>;

/// A client, an Envoy and a backend.
pub(crate) struct Shop {
    pub(crate) envoy: Envoy,
    channel: Channel,
    calls: UnboundedReceiver<Call>,
}

/// A call as the backend has it: on the wire all kinds are the same.
pub(crate) struct Call {
    messages: Streaming<String>,
    answers: UnboundedSender<Result<String, Status>>,
}

/// What comes to an end in a test that goes well.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A filter with these modes for bodies, which cannot be changed for a request.
pub(crate) fn fixed(mode: &str) -> Value {
    json!({ "allow_mode_override": false, "processing_mode": {
        "request_header_mode": "SEND", "response_header_mode": "SEND",
        "request_body_mode": mode, "response_body_mode": mode,
        "request_trailer_mode": "SEND", "response_trailer_mode": "SEND",
    }})
}

/// Filters that let streams be streams, the first one as the documentation has it.
pub(crate) fn filters() -> [Value; 3] {
    [json!({}), fixed("STREAMED"), fixed("FULL_DUPLEX_STREAMED")]
}

impl Shop {
    /// With fields of the filter that are not as usual.
    pub(crate) async fn start(service: &Service, filter: &Value) -> Self {
        let (backend, calls) = unbounded();
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let backend_address = incoming.local_addr().unwrap();
        tokio::spawn(Server::builder().add_service(Backend(backend)).serve_with_incoming(incoming));
        // The usual timeout of a route would end streams.
        let route = json!({ "route": { "cluster": "backend", "timeout": "0s" } });
        let front = front(service.grpc.parse().unwrap(), filter, &route).http2();
        let (envoy, address) = front.start(backend_address).await.unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.origin("http://shop.example".parse().unwrap()).user_agent("tests").unwrap();
        Self { envoy, channel: endpoint.connect_lazy(), calls }
    }

    /// A client that is ready.
    pub(crate) async fn client(&self) -> Grpc<Channel> {
        let mut client = Grpc::new(self.channel.clone());
        soon("a connection", client.ready()).await.unwrap();
        client
    }

    /// A call in which both sides may send as they like: the client's two ends of it.
    pub(crate) async fn talk(&self) -> (UnboundedSender<String>, Streaming<String>) {
        let (questions, messages) = unbounded();
        let answers = self.ask(Request::new(messages)).await.unwrap();
        (questions, answers)
    }

    /// The answers to such a call.
    pub(crate) async fn ask(&self, request: Request<UnboundedReceiver<String>>) -> Result<Streaming<String>, Status> {
        let mut client = self.client().await;
        let answers = client.streaming(request, path("Talk"), Texts::default());
        soon("the head of an answer", answers).await.map(Response::into_inner)
    }

    /// The next call that has come to the backend.
    pub(crate) async fn call(&mut self) -> Call {
        soon("a call", self.calls.next()).await.unwrap()
    }

    /// Whether no call has come to the backend that was not asked for.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

pub(crate) fn path(method: &str) -> http::uri::PathAndQuery {
    format!("/{}/{method}", Backend::NAME).parse().unwrap()
}

impl Call {
    /// The client's next message, nothing when it has no more.
    pub(crate) async fn question(&mut self) -> Result<Option<String>, Status> {
        soon("a question", self.messages.message()).await
    }

    /// Sends the client something.
    pub(crate) fn answer(&self, text: &str) {
        self.answers.unbounded_send(Ok(text.to_owned())).unwrap();
    }

    /// Whether the client does not want to hear any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.answers.is_closed()
    }

    /// Ends the call in another way than well, which is done by dropping it.
    pub(crate) fn fail(self, status: Status) {
        self.answers.unbounded_send(Err(status)).unwrap();
    }
}

#[derive(Clone)]
struct Backend(UnboundedSender<Call>);

impl NamedService for Backend {
    const NAME: &'static str = "shop.Assistant";
}

impl HttpService<http::Request<Body>> for Backend {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let taker = Taker(self.0.clone());
        Box::pin(async move { Ok(tonic::server::Grpc::new(Texts::default()).streaming(taker, request).await) })
    }
}

/// Hands a call over to the test.
struct Taker(UnboundedSender<Call>);

impl StreamingService<String> for Taker {
    type Response = String;
    type ResponseStream = UnboundedReceiver<Result<String, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let (answers, stream) = unbounded();
        let call = Call { messages: request.into_inner(), answers };
        ready(
            self.0
                .unbounded_send(call)
                .map(|()| Response::new(stream))
                .map_err(|_| Status::aborted("the test is over")),
        )
    }
}
