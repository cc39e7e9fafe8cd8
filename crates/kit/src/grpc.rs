//! gRPC: servers that drain, channels to other services, health and reflection. The only module that names tonic.

mod server;
mod wire;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use prost_types::FileDescriptorSet;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::server::NamedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;

use crate::drain::Shutdown;
use crate::incoming::{Connection, Incoming, Local};
use crate::kit::Kit;
use crate::lanes::Lanes;
use crate::net::Address;
use crate::redact::Redacted;
use crate::reload::Reloading;
use crate::tasks::BoxError;

pub use server::Routes;

/// A silent connection is asked for a sign of life this often, and given up after half of that without one.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Serves until `shutdown` stops and all calls are answered, or until it forces. Streams without an end have to watch
/// [`Shutdown::stopping`] themselves. Handlers find the other end as `request.extensions().get::<Peer>()`, when there is
/// anything to say of it. What breaks is a connection, never the server.
pub async fn serve(incoming: Incoming, routes: Routes, shutdown: &Shutdown) -> Result<(), Infallible> {
    server::run(None, incoming, &routes, shutdown, None).await;
    Ok(())
}

/// As [`serve`]; connections are asked to end (GOAWAY) when they have lasted `max_age`, so that clients of unary calls
/// spread over the servers there are by then. Calls in flight are answered.
pub async fn serve_for(
    incoming: Incoming,
    routes: Routes,
    shutdown: &Shutdown,
    max_age: Duration,
) -> Result<(), Infallible> {
    server::run(None, incoming, &routes, shutdown, Some(max_age)).await;
    Ok(())
}

/// As [`serve_for`], each connection in a lane.
pub async fn serve_in(
    lanes: &Lanes,
    incoming: Incoming,
    routes: Routes,
    shutdown: &Shutdown,
    max_age: Duration,
) -> Result<(), Infallible> {
    server::run(Some(lanes), incoming, &routes, shutdown, Some(max_age)).await;
    Ok(())
}

/// What a service serves: itself, health (`grpc.health.v1.Health`) and reflection, for which `files` have to declare it.
///
/// The empty service and this one are SERVING while all gates are open.
pub async fn routes<S>(kit: &Kit, service: S, files: FileDescriptorSet) -> Routes
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let health = HealthServer::new(HealthService::from_health_reporter(health(kit, S::NAME).await));
    let others = tonic::service::Routes::new(health);
    let files = tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(files)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let others = match files.build_v1() {
        Ok(reflection) => others.add_service(reflection),
        Err(error) => {
            tracing::error!(%error, "no reflection");
            others
        }
    };
    Routes::new(service, others)
}

/// Says whether all gates are open, for as long as the process lives.
async fn health(kit: &Kit, service: &'static str) -> HealthReporter {
    let reporter = HealthReporter::new();
    let mut readiness = kit.gates.watch();
    let status = |ready| if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    let ready = readiness.borrow_and_update().is_ready();
    report(&reporter, service, status(ready)).await;
    let (follower, shutdown) = (reporter.clone(), kit.shutdown.clone());
    kit.tasks.spawn("grpc health", async move {
        let follow = async {
            while readiness.changed().await.is_ok() {
                let ready = readiness.borrow_and_update().is_ready();
                report(&follower, service, status(ready)).await;
            }
        };
        shutdown.unless_stopping(follow).await;
        report(&follower, service, ServingStatus::NotServing).await;
        Ok::<(), Infallible>(())
    });
    reporter
}

async fn report(reporter: &HealthReporter, service: &str, status: ServingStatus) {
    for service in ["", service] {
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
        Address::Unix(path) => Connection::to_server(Local::new(UnixStream::connect(path).await?.into_std()?)?),
    };
    match tls {
        Some(tls) => Ok(Connection::to_server(TlsConnector::from(tls.get()).connect(name, plain).await?)),
        None => Ok(plain),
    }
}
