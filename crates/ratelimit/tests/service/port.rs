//! The port that Envoy asks: who may come, and for how long.

use http::StatusCode;
use kit::testing::{Authority, CertificateFiles};
use kit::tls::ClientSettings;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::service::listening;
use testbed::wait::wait_for;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{ONE_A_YEAR, Service, refused, request};

#[tokio::test]
async fn clients_are_known_by_certificate() {
    let (authority, other, dir) = (Authority::new("edge"), Authority::new("other"), tempfile::tempdir().unwrap());
    let ca = dir.path().join("ca.crt");
    authority.write(&ca);
    let server = authority.issue(dir.path(), "server", &["127.0.0.1"]);
    let mut service = Service::start(
        ONE_A_YEAR,
        &format!(
            "grpc:\n  address: 127.0.0.1:0\n  tls:\n    cert: {:?}\n    key: {:?}\n    clientCa: {ca:?}\n    \
             allowedClients: {{uris: ['spiffe://edge/envoy/*']}}\n",
            server.cert, server.key
        ),
    )
    .await;
    // Nobody is let in by the back door: the HTTP port knows no certificates.
    let http = listening(&mut service.process, "http").await.unwrap();
    let body = r#"{"domain": "edge", "descriptors": [{"entries": [{"key": "tenant", "value": "x"}]}]}"#;
    let post =
        async |address: &str| Request::post(&format!("http://{address}/json"), body).send().await.unwrap().status;
    assert_eq!((post(&http).await, post(&service.admin).await), (StatusCode::NOT_FOUND, StatusCode::OK));
    let ask = async |files: Option<CertificateFiles>| {
        let (cert, key) = files.map(|files| (files.cert, files.key)).unzip();
        let tls = ClientSettings { ca: ca.clone(), cert, key, ..ClientSettings::default() };
        service.client_by(Some(&tls)).should_rate_limit(request("edge", &[("user", "ann")])).await
    };
    let envoy = || authority.issue(dir.path(), "envoy", &["spiffe://edge/envoy/one"]);
    assert!(!refused(&ask(Some(envoy())).await.unwrap().into_inner()));
    assert!(refused(&ask(Some(envoy())).await.unwrap().into_inner()));
    let wrong = [
        None,
        Some(authority.issue(dir.path(), "stranger", &["spiffe://edge/shop"])),
        Some(other.issue(dir.path(), "forged", &["spiffe://edge/envoy/one"])),
    ];
    for files in wrong {
        assert!(ask(files.clone()).await.is_err(), "{files:?}");
    }
    service.client().should_rate_limit(request("edge", &[("user", "ann")])).await.unwrap_err();
}

/// What a client has to say first: the preface, and settings without any (RFC 9113, 3.4 and 4.1).
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of a frame that asks to open no more streams (RFC 9113, 6.8).
const GOAWAY: u8 = 7;

#[tokio::test]
async fn old_connections_are_asked_to_end_and_calls_go_on() {
    let service = Service::start(ONE_A_YEAR, "grpc: {address: '127.0.0.1:0', maxConnectionAge: 100ms}\n").await;
    let mut client = service.client();
    assert!(!refused(&client.should_rate_limit(request("edge", &[("user", "ann")])).await.unwrap().into_inner()));
    let mut connection = TcpStream::connect(&service.grpc).await.unwrap();
    connection.write_all(HELLO).await.unwrap();
    let told = async {
        loop {
            let mut head = [0; 9];
            connection.read_exact(&mut head).await.unwrap();
            if head[3] == GOAWAY {
                return;
            }
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            connection.read_exact(&mut vec![0; length]).await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    // The client's connection is older, and it takes another. A call that meets the end of the old one was never made.
    let ask = async || client.should_rate_limit(request("edge", &[("user", "ann")])).await.ok();
    assert!(refused(&wait_for("an answer", PATIENCE, ask).await.unwrap().into_inner()));
}
