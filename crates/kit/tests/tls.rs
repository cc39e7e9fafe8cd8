//! mTLS over real sockets: who is let in, who is refused, and that rotated files are taken over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use kit::incoming::{Incoming, Peer};
use kit::net::{Address, Listener, Purpose};
use kit::testing::{Authority, CertificateFiles};
use kit::tls::{ClientSettings, PeerPolicy, Protocols, ServerSettings, client_config, follow_server};
use kit::{Kit, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A server that answers with the names of its client.
struct Server {
    kit: Kit,
    address: String,
}

async fn names(ConnectInfo(peer): ConnectInfo<Peer>, Extension(version): Extension<&'static str>) -> String {
    let identity = peer.identity.unwrap_or_default();
    format!("{version} {:?} {:?}", identity.spiffe_id(), identity.dns)
}

impl Server {
    async fn start(settings: ServerSettings) -> Self {
        let kit = testing::kit();
        let tls = follow_server(&kit.reloader(), "tls", settings, Protocols::Http).await.unwrap();
        let purpose = Purpose { name: "test", setting: "nothing" };
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".into()), purpose).await.unwrap();
        let incoming = Incoming::start(listener, Some(tls), &kit.shutdown);
        let address = incoming.address().to_string();
        let router = Router::new().route("/", get(names)).layer(Extension("v1"));
        let shutdown = kit.shutdown.clone();
        kit.tasks.spawn("server", async move { kit::serve::http(incoming, router, &shutdown).await });
        Self { kit, address }
    }

    /// One request; the body and the server's certificate.
    async fn ask(&self, client: &ClientSettings, name: &str) -> Result<(String, Vec<u8>), std::io::Error> {
        let mut config = client_config(client, Protocols::Http).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(&self.address).await?;
        let name = name.to_owned().try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
        Ok((body.to_owned(), certificate))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kit.shutdown.force();
    }
}

struct Files {
    dir: tempfile::TempDir,
    authority: Authority,
    server: CertificateFiles,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("test authority");
        authority.write(&dir.path().join("ca.crt"));
        let server = authority.issue(dir.path(), "server", &["localhost", "spiffe://test/server"]);
        Self { dir, authority, server }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn server(&self, uris: &[&str]) -> ServerSettings {
        ServerSettings {
            cert: self.server.cert.clone(),
            key: self.server.key.clone(),
            client_ca: Some(self.path().join("ca.crt")),
            allowed_clients: policy(uris),
        }
    }

    fn client(&self, name: &str, names: &[&str]) -> ClientSettings {
        self.client_of(&self.authority, name, names)
    }

    fn client_of(&self, authority: &Authority, name: &str, names: &[&str]) -> ClientSettings {
        let files = authority.issue(self.path(), name, names);
        ClientSettings {
            ca: self.path().join("ca.crt"),
            cert: Some(files.cert),
            key: Some(files.key),
            allowed_servers: PeerPolicy::default(),
        }
    }
}

fn policy(uris: &[&str]) -> PeerPolicy {
    PeerPolicy { uris: uris.iter().map(|uri| (*uri).to_owned()).collect(), dns: vec![] }
}

#[tokio::test]
async fn a_client_is_let_in_by_its_name_and_the_handler_sees_it() {
    let files = Files::new();
    let server = Server::start(files.server(&["spiffe://test/ns/gateway/*"])).await;
    let envoy = files.client("envoy", &["spiffe://test/ns/gateway/sa/envoy", "envoy.test"]);
    let (body, _) = server.ask(&envoy, "localhost").await.unwrap();
    assert_eq!(body, r#"v1 Some("spiffe://test/ns/gateway/sa/envoy") ["envoy.test"]"#);
}

#[tokio::test]
async fn clients_with_another_name_authority_or_nothing_are_refused() {
    let files = Files::new();
    let server = Server::start(files.server(&["spiffe://test/envoy"])).await;
    let other_name = files.client("other", &["spiffe://test/other"]);
    assert!(server.ask(&other_name, "localhost").await.is_err());
    let stranger = files.client_of(&Authority::new("stranger"), "stranger", &["spiffe://test/envoy"]);
    assert!(server.ask(&stranger, "localhost").await.is_err());
    let nobody = ClientSettings { ca: files.path().join("ca.crt"), ..ClientSettings::default() };
    assert!(server.ask(&nobody, "localhost").await.is_err());
    let right = files.client("right", &["spiffe://test/envoy"]);
    server.ask(&right, "localhost").await.unwrap();
}

#[tokio::test]
async fn a_client_checks_the_server_by_host_name_or_by_policy() {
    let files = Files::new();
    let server = Server::start(files.server(&[])).await;
    let by_name = files.client("client", &["client.test"]);
    assert!(server.ask(&by_name, "elsewhere").await.is_err());
    let by_id = ClientSettings { allowed_servers: policy(&["spiffe://test/server"]), ..by_name.clone() };
    server.ask(&by_id, "elsewhere").await.unwrap();
    let wrong_id = ClientSettings { allowed_servers: policy(&["spiffe://test/another"]), ..by_name };
    assert!(server.ask(&wrong_id, "localhost").await.is_err());
}

#[tokio::test]
async fn rotated_certificates_and_authorities_are_taken_over() {
    let files = Files::new();
    let server = Server::start(files.server(&[])).await;
    let client = files.client("client", &["client.test"]);
    let (_, before) = server.ask(&client, "localhost").await.unwrap();

    files.authority.issue(files.path(), "server", &["localhost", "rotated.test"]);
    testing::eventually("the new certificate is used", async || {
        let (_, after) = server.ask(&client, "rotated.test").await.ok()?;
        (after != before).then_some(())
    })
    .await;

    // A key that is not the certificate's: the old pair stays in force.
    std::fs::copy(files.path().join("client.key"), files.path().join("server.key")).unwrap();
    testing::eventually("the failure is counted", async || {
        server
            .kit
            .metrics
            .text()
            .lines()
            .find(|line| line.starts_with("config_reload_last_successful") && line.ends_with(" 0"))
            .map(drop)
    })
    .await;
    server.ask(&client, "rotated.test").await.unwrap();

    // Another authority: clients of the old one are refused.
    files.authority.issue(files.path(), "server", &["localhost"]);
    Authority::new("next").write(&files.path().join("next.crt"));
    let trusting = ClientSettings { ca: files.path().join("old.crt"), ..client };
    std::fs::copy(files.path().join("ca.crt"), files.path().join("old.crt")).unwrap();
    std::fs::rename(files.path().join("next.crt"), files.path().join("ca.crt")).unwrap();
    testing::eventually("clients of the old authority are refused", async || {
        server.ask(&trusting, "localhost").await.err()
    })
    .await;
}

#[test]
fn wrong_files_are_named() {
    let files = Files::new();
    let settings = ServerSettings { cert: files.path().join("none.crt"), ..files.server(&[]) };
    let error = kit::tls::server_config(&settings, Protocols::Http2).unwrap_err().to_string();
    assert!(error.contains("none.crt"), "{error}");
    std::fs::write(files.path().join("empty.crt"), "not a certificate").unwrap();
    let settings = ServerSettings { cert: files.path().join("empty.crt"), ..files.server(&[]) };
    let error = kit::tls::server_config(&settings, Protocols::Http2).unwrap_err().to_string();
    assert!(error.contains("empty.crt: no certificate in it"), "{error}");
    let other = files.authority.issue(files.path(), "other", &["x.test"]);
    let settings = ServerSettings { key: other.key, ..files.server(&[]) };
    let error = kit::tls::server_config(&settings, Protocols::Http2).unwrap_err().to_string();
    assert!(error.contains("server.crt") && error.contains("other.key"), "{error}");
}
