//! Lanes on real sockets: under load connections move to lanes that were idle, and back when it is over; each call is answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::grpc::{Routes, serve_in};
use kit::incoming::Incoming;
use kit::lanes::Lanes;
use kit::net::{Address, Listener, Purpose};
use kit::reload::Reloading;
use kit::testing::{Authority, DEADLINE};
use kit::tls::{ClientSettings, PeerPolicy, Protocols, ServerSettings, client_config, server_config};
use kit::{Kit, testing};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

/// Says in which lane it was asked, after it has computed for as long as it was told.
#[derive(Clone)]
struct Computing;

impl NamedService for Computing {
    const NAME: &'static str = "test.Computing";
}

impl Service<Request<Body>> for Computing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let micros = request.uri().path().rsplit_once('/').unwrap().1.parse().unwrap();
        let (begun, takes) = (Instant::now(), Duration::from_micros(micros));
        while begun.elapsed() < takes {
            std::hint::spin_loop();
        }
        let lane = Lanes::current().unwrap().to_string();
        ready(Ok(Response::builder().header("lane", lane).body(Body::empty()).unwrap()))
    }
}

const CONNECTIONS: usize = 4;

type Client = SendRequest<Body>;

async fn client(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Client {
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Where a call was answered.
async fn call(client: &mut Client, takes: Duration) -> usize {
    let uri = format!("http://test/test.Computing/{}", takes.as_micros());
    let answer = client.send_request(Request::post(uri).body(Body::empty()).unwrap()).await.unwrap();
    answer.headers()["lane"].to_str().unwrap().parse().unwrap()
}

fn loopback() -> Address {
    Address::Tcp("127.0.0.1:0".into())
}

async fn start(kit: &Kit, lanes: &Lanes, address: Address, tls: Option<Reloading<rustls::ServerConfig>>) -> Address {
    let listener = Listener::bind(&address, Purpose { name: "grpc", setting: "nothing" }).await.unwrap();
    let incoming = Incoming::start(listener, tls, &kit.shutdown);
    let address = incoming.address().clone();
    let routes = Routes::new(Computing, tonic::service::Routes::default());
    let (lanes, shutdown) = (lanes.clone(), kit.shutdown.clone());
    kit.tasks.spawn("grpc", async move { serve_in(&lanes, incoming, routes, &shutdown, Duration::MAX).await });
    address
}

/// Calls on all connections at once, a round every few milliseconds, until they were answered in several lanes, or in one.
async fn until(several: bool, clients: &mut [Client], takes: Duration) {
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    let rounds = async {
        loop {
            pace.tick().await;
            let calls = clients.iter_mut().map(|client| call(client, takes));
            let seen: BTreeSet<_> = futures::future::join_all(calls).await.into_iter().collect();
            if (seen.len() > 1) == several {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, rounds).await.unwrap_or_else(|_| panic!("several lanes: not {several}"));
}

/// All calls of some connections in one lane, then in several, where there are, and in one again.
async fn there_and_back<I>(lanes: &Lanes, connect: impl AsyncFn() -> I)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(client(connect().await).await);
    }
    until(false, &mut clients, Duration::ZERO).await;
    until(lanes.runtimes().len() > 1, &mut clients, Duration::from_millis(3)).await;
    until(false, &mut clients, Duration::ZERO).await;
}

#[tokio::test]
async fn connections_over_unix_sockets_move() {
    let (kit, lanes, dir) = (testing::kit(), Lanes::start_gathered().unwrap(), tempfile::tempdir().unwrap());
    let path = dir.path().join("grpc.sock");
    start(&kit, &lanes, Address::Unix(path.clone()), None).await;
    there_and_back(&lanes, async || UnixStream::connect(&path).await.unwrap()).await;
}

#[tokio::test]
async fn connections_over_tcp_move() {
    let (kit, lanes) = (testing::kit(), Lanes::start_gathered().unwrap());
    let Address::Tcp(address) = start(&kit, &lanes, loopback(), None).await else { unreachable!() };
    there_and_back(&lanes, async || TcpStream::connect(&address).await.unwrap()).await;
}

#[tokio::test]
async fn connections_over_tls_move() {
    let (kit, lanes, dir) = (testing::kit(), Lanes::start_gathered().unwrap(), tempfile::tempdir().unwrap());
    let (authority, ca) = (Authority::new("test"), dir.path().join("ca.crt"));
    authority.write(&ca);
    let files = authority.issue(dir.path(), "server", &["localhost"]);
    let any = PeerPolicy::default();
    let server = ServerSettings { cert: files.cert, key: files.key, client_ca: None, allowed_clients: any };
    let tls = Reloading::fixed(server_config(&server, Protocols::Http2).unwrap());
    let Address::Tcp(address) = start(&kit, &lanes, loopback(), Some(tls)).await else { unreachable!() };
    let settings = ClientSettings { ca, ..ClientSettings::default() };
    let connector = TlsConnector::from(Reloading::fixed(client_config(&settings, Protocols::Http2).unwrap()).get());
    let name = ServerName::try_from("localhost").unwrap();
    let connect = async || {
        let stream = TcpStream::connect(&address).await.unwrap();
        connector.connect(name.clone(), stream).await.unwrap()
    };
    there_and_back(&lanes, connect).await;
}
