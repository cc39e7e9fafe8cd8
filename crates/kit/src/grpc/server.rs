//! Connections and what answers them.
//!
//! ```text
//! connection ─▶ HTTP/2 ─▶ by path ─┬─▶ the service
//!                                  └─▶ others: health, reflection
//! ```
//!
//! tonic has a server of its own, in which each call passes a router, layers and boxes, and gets a timer for the time-out that
//! Envoy names, although Envoy itself ends what takes longer. Here a call of the service is one comparison away.

use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::either::Either;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::KEEP_ALIVE;
use super::wire::Wire;
use crate::drain::Shutdown;
use crate::incoming::{Connection, Incoming, Peer};
use crate::lanes::Lanes;

/// A client that has not greeted by then is dropped.
const GREETING: Duration = Duration::from_secs(10);

type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What answers the calls of a port. Clones share it.
#[derive(Clone)]
pub struct Routes(Arc<dyn Answers>);

/// What answers the calls of a connection.
trait Answers: Send + Sync {
    /// Answers until the connection ends, which it is asked to when `end` is there.
    fn answer(&self, connection: Connection, end: Answering) -> Answering;
}

/// The service that is asked most, and others.
struct First<S> {
    service: S,
    others: tonic::service::Routes,
    /// How long a greeting is waited for.
    patience: Duration,
}

impl fmt::Debug for Routes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    /// A service and others beside it, which are not asked often. Services have to be ready at any time, as tonic's are.
    pub fn new<S>(service: S, others: tonic::service::Routes) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self(Arc::new(First { service, others: others.prepare(), patience: GREETING }))
    }
}

impl<S> Answers for First<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    fn answer(&self, connection: Connection, mut end: Answering) -> Answering {
        let (service, others, patience) = (self.service.clone(), self.others.clone(), self.patience);
        // Of a plain socket there is nothing to say.
        let peer = Some(connection.peer.clone()).filter(|peer| *peer != Peer::default());
        let call = service_fn(move |request: Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            if is_of(S::NAME, request.uri().path()) {
                Either::Left(service.clone().call(request))
            } else {
                Either::Right(others.clone().call(request))
            }
        });
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE / 2);
        // An Envoy has one connection for all its calls; and no call asks what day it is.
        http.max_concurrent_streams(None).auto_date_header(false);
        Box::pin(async move {
            let wire = Wire::new(connection);
            let io = TokioIo::new(wire.clone());
            let serve = async {
                let mut connection = pin!(http.serve_connection(io, call));
                // Of a client that has not greeted yet, hyper would await that at the end, too.
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => return ended,
                    () = wire.greeted() => {}
                    _ = tokio::time::timeout(patience, end.as_mut()) => return Ok(()),
                }
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => ended,
                    () = end => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            };
            if let Err(error) = wire.turns(serve).await {
                tracing::debug!(%error, "a connection broke");
            }
        })
    }
}

/// Whether a path is that of a method of this service: `/package.Service/Method`.
fn is_of(service: &str, path: &str) -> bool {
    path.strip_prefix('/').and_then(|path| path.strip_prefix(service)).is_some_and(|method| method.starts_with('/'))
}

/// Serves until `shutdown` stops and all calls are answered, or until it forces. With lanes, connections are served in them.
/// With an age, those that have lasted that long are asked to end.
pub(super) async fn run(
    lanes: Option<&Lanes>,
    mut incoming: Incoming,
    routes: &Routes,
    shutdown: &Shutdown,
    age: Option<Duration>,
) {
    let connections = TaskTracker::new();
    let accepting = async {
        for number in 0.. {
            let Some(connection) = incoming.next().await else { return };
            let stopping = shutdown.clone();
            let end = async move {
                match age {
                    Some(age) => drop(tokio::time::timeout(age, stopping.stopping()).await),
                    None => stopping.stopping().await,
                }
            };
            let answering = connections.track_future(routes.0.answer(connection, Box::pin(end)));
            match lanes {
                Some(lanes) => lanes.spawn(number, answering),
                None => drop(tokio::spawn(answering)),
            }
        }
    };
    shutdown.unless_stopping(accepting).await;
    drop(incoming);
    connections.close();
    shutdown.unless_forced(connections.wait()).await;
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use hyper::client::conn::http2::handshake;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;
    use crate::testing::DEADLINE;

    /// What answers a connection until that end, with so much patience, and the connection's other end.
    fn answering(patience: Duration, end: impl Future<Output = ()> + Send + 'static) -> (Answering, DuplexStream) {
        let (near, far) = duplex(1 << 16);
        let (_, service) = tonic_health::server::health_reporter();
        let routes = First { service, others: tonic::service::Routes::default(), patience };
        (routes.answer(Connection::to_server(near), Box::pin(end)), far)
    }

    #[tokio::test]
    async fn who_does_not_greet_is_given_up() {
        for (patience, ends) in [(Duration::from_millis(10), false), (GREETING, true)] {
            for said in [&b""[..], b"PRI * HTTP/2.0"] {
                let (answers, mut far) = answering(patience, async move {
                    if !ends {
                        pending().await
                    }
                });
                far.write_all(said).await.unwrap();
                timeout(GREETING / 2, answers).await.expect("it is given up");
                // Our settings are all there is to read.
                far.read_to_end(&mut Vec::new()).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn who_has_greeted_may_take_time_and_is_asked_to_end() {
        let patience = Duration::from_secs(1);
        let (end, ended) = oneshot::channel::<()>();
        let (answers, far) = answering(patience, async move { drop(ended.await) });
        let answers = tokio::spawn(answers);
        let (mut client, connection) = handshake(TokioExecutor::new(), TokioIo::new(far)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut check = async || {
            client.ready().await.unwrap();
            let request = Request::post("http://localhost/grpc.health.v1.Health/Check").body(Body::empty()).unwrap();
            assert_eq!(client.send_request(request).await.unwrap().status(), http::StatusCode::OK);
        };
        check().await;
        // Another one, which says nothing, has been waited for in vain when this ends.
        let (silent, _far) = answering(patience, pending());
        timeout(DEADLINE, silent).await.expect("it is given up");
        check().await;
        drop(end);
        timeout(DEADLINE, answers).await.expect("it ends").unwrap();
        connection.await.unwrap().unwrap();
    }

    #[test]
    fn a_path_names_its_service() {
        assert!(is_of("a.v1.Service", "/a.v1.Service/Method"));
        for other in ["/a.v1.ServiceMore/Method", "/a.v1.Service", "a.v1.Service/Method", "//a.v1.Service/Method", "/"]
        {
            assert!(!is_of("a.v1.Service", other), "{other}");
        }
    }
}
