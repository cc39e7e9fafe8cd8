//! gRPC: servers that drain, channels to other services, and the health service. The only file that names tonic.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;

use crate::drain::Shutdown;
use crate::health::Gates;
use crate::incoming::{Connection, Incoming, Peer};
use crate::net::Address;
use crate::redact::Redacted;
use crate::reload::Reloading;
use crate::tasks::{BoxError, Tasks};

/// A silent connection is asked for a sign of life this often, and given up after half of that without one.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Serves until `shutdown` stops and all calls are answered, or until it forces. Streams without an end have to watch
/// [`Shutdown::stopping`] themselves. Handlers find the other end as `request.extensions().get::<Peer>()`.
pub async fn serve(incoming: Incoming, routes: Routes, shutdown: &Shutdown) -> Result<(), tonic::transport::Error> {
    run(Server::builder(), incoming, routes, shutdown).await
}

/// As [`serve`]; connections are asked to end (GOAWAY) when they have lasted `max_age`, so that clients of unary calls
/// spread over the servers there are by then. Calls in flight are answered.
pub async fn serve_for(
    incoming: Incoming,
    routes: Routes,
    shutdown: &Shutdown,
    max_age: Duration,
) -> Result<(), tonic::transport::Error> {
    run(Server::builder().max_connection_age(max_age), incoming, routes, shutdown).await
}

async fn run(
    server: Server,
    incoming: Incoming,
    routes: Routes,
    shutdown: &Shutdown,
) -> Result<(), tonic::transport::Error> {
    let stopping = shutdown.clone();
    let server = server
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE / 2))
        .add_routes(routes)
        .serve_with_incoming_shutdown(Connections(incoming), async move { stopping.stopping().await });
    shutdown.unless_forced(server).await.unwrap_or(Ok(()))
}

/// Routes that start with the health service (`grpc.health.v1.Health`) of `gates`: the empty service and each of
/// `services` (full names) are SERVING while all gates are open. More services are added to what is returned.
pub async fn routes_with_health(
    gates: &Gates,
    services: &'static [&'static str],
    tasks: &Tasks,
    shutdown: &Shutdown,
) -> RoutesBuilder {
    let reporter = HealthReporter::new();
    let mut readiness = gates.watch();
    let status = |ready| if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    let ready = readiness.borrow_and_update().is_ready();
    report(&reporter, services, status(ready)).await;
    let (follower, shutdown) = (reporter.clone(), shutdown.clone());
    tasks.spawn("grpc health", async move {
        let follow = async {
            while readiness.changed().await.is_ok() {
                let ready = readiness.borrow_and_update().is_ready();
                report(&follower, services, status(ready)).await;
            }
        };
        shutdown.unless_stopping(follow).await;
        report(&follower, services, ServingStatus::NotServing).await;
        Ok::<(), Infallible>(())
    });
    let mut routes = RoutesBuilder::default();
    routes.add_service(HealthServer::new(tonic_health::server::HealthService::from_health_reporter(reporter)));
    routes
}

async fn report(reporter: &HealthReporter, services: &[&str], status: ServingStatus) {
    for service in std::iter::once(&"").chain(services) {
        reporter.set_service_status(service, status).await;
    }
}

/// A channel that connects when it is first used and again when the connection is lost. With `tls`, the certificate is
/// verified as its settings say, for the host in the address (or `localhost` over a Unix socket).
pub fn channel(address: &Address, tls: Option<Reloading<ClientConfig>>) -> Result<Channel, BoxError> {
    let host = match address {
        Address::Tcp(host) => host.clone(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).trim_matches(['[', ']']);
    let name = ServerName::try_from(name.to_owned())?;
    // TLS is ours: the scheme only fills `:scheme`, and tonic must not add TLS of its own.
    let endpoint = Endpoint::from_shared(format!("http://{host}"))?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE / 2);
    let address = Arc::new(address.clone());
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (address, tls, name) = (Arc::clone(&address), tls.clone(), name.clone());
        async move { connect(&address, tls, name).await.map(TokioIo::new) }
    })))
}

/// Headers as gRPC metadata; the error is the name of a header that is not valid.
pub(crate) fn metadata(headers: &BTreeMap<String, Redacted<String>>) -> Result<MetadataMap, String> {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        let key = MetadataKey::from_str(name).map_err(|_| name.clone())?;
        let value = MetadataValue::from_str(value.reveal()).map_err(|_| name.clone())?;
        metadata.insert(key, value);
    }
    Ok(metadata)
}

/// TLS to a server that the system's authorities vouch for.
pub(crate) fn public_tls() -> ClientTlsConfig {
    ClientTlsConfig::new().with_native_roots()
}

async fn connect(
    address: &Address,
    tls: Option<Reloading<ClientConfig>>,
    name: ServerName<'static>,
) -> io::Result<Connection> {
    let plain = match address {
        Address::Tcp(host) => {
            let stream = TcpStream::connect(host).await?;
            stream.set_nodelay(true)?;
            Connection::to_server(stream)
        }
        Address::Unix(path) => Connection::to_server(UnixStream::connect(path).await?),
    };
    match tls {
        Some(tls) => Ok(Connection::to_server(TlsConnector::from(tls.get()).connect(name, plain).await?)),
        None => Ok(plain),
    }
}

struct Connections(Incoming);

impl tokio_stream::Stream for Connections {
    type Item = Result<Connection, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(context).map(|connection| connection.map(Ok))
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}
