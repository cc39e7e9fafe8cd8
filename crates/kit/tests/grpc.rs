//! gRPC over real sockets: health follows the gates, mTLS and Unix sockets, and a drain answers what is in flight.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use kit::grpc::{channel, routes, serve};
use kit::incoming::Incoming;
use kit::net::{Address, Listener, Purpose};
use kit::reload::Reloading;
use kit::testing::{Authority, eventually};
use kit::tls::{ClientSettings, PeerPolicy, Protocols, ServerSettings, client_config, server_config};
use kit::{Kit, testing};
use prost_types::FileDescriptorSet;
use rustls::ServerConfig;
use tokio::io::AsyncReadExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Any will do: it is not called.
const SERVICE: &str = "grpc.reflection.v1alpha.ServerReflection";

async fn start(kit: &Kit, address: Address, tls: Option<Reloading<ServerConfig>>) -> Address {
    let purpose = Purpose { name: "grpc", setting: "nothing" };
    let listener = Listener::bind(&address, purpose).await.unwrap();
    let incoming = Incoming::start(listener, tls, &kit.shutdown);
    let address = incoming.address().clone();
    let service = tonic_reflection::server::Builder::configure().build_v1alpha().unwrap();
    let routes = routes(kit, service, FileDescriptorSet::default()).await;
    let shutdown = kit.shutdown.clone();
    kit.tasks.spawn("grpc", async move { serve(incoming, routes, &shutdown).await });
    address
}

fn loopback() -> Address {
    Address::Tcp("127.0.0.1:0".into())
}

async fn status(channel: &Channel, service: &str) -> Result<ServingStatus, tonic::Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(channel.clone()).check(request).await?.into_inner().status())
}

#[tokio::test]
async fn health_follows_the_gates() {
    let kit = testing::kit();
    let gate = kit.gates.gate("redis");
    let channel = channel(&start(&kit, loopback(), None).await, None).unwrap();
    for service in ["", SERVICE] {
        assert_eq!(status(&channel, service).await.unwrap(), ServingStatus::NotServing);
    }
    gate.open();
    for service in ["", SERVICE] {
        let serving = async || (status(&channel, service).await.unwrap() == ServingStatus::Serving).then_some(());
        eventually("serving", serving).await;
    }
    gate.close("lost");
    let stopped = async || (status(&channel, "").await.unwrap() == ServingStatus::NotServing).then_some(());
    eventually("not serving", stopped).await;
    assert_eq!(status(&channel, "unknown").await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_unix_socket_serves_too() {
    let dir = tempfile::tempdir().unwrap();
    let kit = testing::kit();
    kit.gates.gate("test").open();
    let address = start(&kit, Address::Unix(dir.path().join("grpc.sock")), None).await;
    assert_eq!(status(&channel(&address, None).unwrap(), "").await.unwrap(), ServingStatus::Serving);
}

#[tokio::test]
async fn mutual_tls_lets_in_by_spiffe_id() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    let authority = Authority::new("test");
    authority.write(&ca);
    let server = authority.issue(dir.path(), "server", &["spiffe://test/server"]);
    let uris = |uri: &str| PeerPolicy { uris: vec![uri.to_owned()], dns: vec![] };
    let settings = ServerSettings {
        cert: server.cert,
        key: server.key,
        client_ca: Some(ca.clone()),
        allowed_clients: uris("spiffe://test/envoy"),
    };
    let kit = testing::kit();
    let tls = Reloading::fixed(server_config(&settings, Protocols::Http2).unwrap());
    let address = start(&kit, loopback(), Some(tls)).await;
    for (name, let_in) in [("spiffe://test/envoy", true), ("spiffe://test/other", false)] {
        let files = authority.issue(dir.path(), "client", &[name]);
        let settings = ClientSettings {
            ca: ca.clone(),
            cert: Some(files.cert),
            key: Some(files.key),
            allowed_servers: uris("spiffe://test/server"),
        };
        let tls = Reloading::fixed(client_config(&settings, Protocols::Http2).unwrap());
        let answer = status(&channel(&address, Some(tls)).unwrap(), "").await;
        assert_eq!(answer.is_ok(), let_in, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_drain_tells_watchers_and_an_endless_stream_ends_by_force() {
    let kit = testing::kit();
    kit.gates.gate("test").open();
    let address = start(&kit, loopback(), None).await;
    let channel = channel(&address, None).unwrap();
    let request = HealthCheckRequest { service: String::new() };
    let mut watching = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    kit.shutdown.stop();
    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let Address::Tcp(port) = &address else { unreachable!("it is TCP") };
    eventually("the port is closed", async || tokio::net::TcpStream::connect(port).await.err()).await;
    // The stream has no end of its own, so the server still waits for it.
    assert!(tokio::time::timeout(Duration::from_millis(100), kit.tasks.finished()).await.is_err());
    kit.shutdown.force();
    tokio::time::timeout(testing::DEADLINE, kit.tasks.finished()).await.unwrap();
}

#[tokio::test]
async fn a_drain_does_not_wait_for_who_has_said_nothing() {
    let kit = testing::kit();
    kit.gates.gate("test").open();
    let address = start(&kit, loopback(), None).await;
    let Address::Tcp(port) = &address else { unreachable!("it is TCP") };
    let mut silent = tokio::net::TcpStream::connect(port).await.unwrap();
    // Connections are taken in their order: the silent one is served.
    assert_eq!(status(&channel(&address, None).unwrap(), "").await.unwrap(), ServingStatus::Serving);
    kit.shutdown.stop();
    tokio::time::timeout(testing::DEADLINE, kit.tasks.finished()).await.unwrap();
    silent.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_from_a_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    let authority = Authority::new("test");
    authority.write(&ca);
    let server = authority.issue(dir.path(), "server", &["spiffe://test/server"]);
    let settings =
        ServerSettings { cert: server.cert, key: server.key, client_ca: None, allowed_clients: PeerPolicy::default() };
    let kit = testing::kit();
    kit.gates.gate("test").open();
    let tls = Reloading::fixed(server_config(&settings, Protocols::Http2).unwrap());
    let address = start(&kit, loopback(), Some(tls)).await;
    let Address::Tcp(port) = &address else { unreachable!("it is TCP") };
    // As many as there are handshakes at a time.
    let silent = futures::future::join_all((0..256).map(|_| tokio::net::TcpStream::connect(port))).await;
    let client = ClientSettings {
        ca: ca.clone(),
        cert: None,
        key: None,
        allowed_servers: PeerPolicy { uris: vec!["spiffe://test/server".to_owned()], dns: vec![] },
    };
    let tls = Reloading::fixed(client_config(&client, Protocols::Http2).unwrap());
    let answer = status(&channel(&address, Some(tls)).unwrap(), "").await;
    assert_eq!(answer.unwrap(), ServingStatus::Serving);
    // Nobody's time was up meanwhile.
    for silent in silent {
        let still_there = silent.unwrap().try_read(&mut [0]).unwrap_err();
        assert_eq!(still_there.kind(), std::io::ErrorKind::WouldBlock);
    }
}
