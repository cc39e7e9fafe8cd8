//! What kind of backend to start, and where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::connections::{Listener, serve};
use super::{Echo, State, lines};
use crate::client::Target;
use crate::pki::{self, Identity};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Tcp,
    Udp,
}

/// A backend to be started; on 127.0.0.1 and a free port unless said otherwise.
#[derive(Debug)]
pub struct Spec {
    kind: Kind,
    target: Target,
    state: State,
    identity: Option<Identity>,
    client_ca: Option<String>,
}

impl Spec {
    pub(super) fn new(kind: Kind) -> Self {
        let target = Target::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        Self { kind, target, state: State::default(), identity: None, client_ca: None }
    }

    /// Its name: `pod` of the JSON, and the first word of every line, datagram and WebSocket text.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.state.pod);
        self
    }

    /// The namespace that the JSON shows.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.state.namespace);
        self
    }

    /// The service that the JSON shows.
    #[must_use]
    pub fn service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.state.service);
        self
    }

    /// Listens on `[::1]`, free port.
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0))
    }

    /// Listens on this address; for a backend that comes back where another one was.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.target = Target::Address(address);
        self
    }

    /// Listens on a Unix socket.
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.target = Target::Unix(path.into());
        self
    }

    /// Speaks TLS with this certificate; HTTP by ALPN `h2` and `http/1.1`.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Takes only clients with a certificate of these authorities (PEM); with [`Spec::tls`].
    #[must_use]
    pub fn client_ca(mut self, pem: &str) -> Self {
        self.client_ca = Some(pem.to_owned());
        self
    }

    /// Binds the socket and starts to serve.
    pub async fn spawn(self) -> Result<Echo> {
        let tls = self.tls_acceptor()?;
        let state = Arc::new(self.state);
        if self.kind == Kind::Udp {
            let Target::Address(address) = self.target else { bail!("no UDP over Unix sockets") };
            let socket = UdpSocket::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            let target = Target::Address(socket.local_addr()?);
            let task = tokio::spawn(lines::serve_datagrams(socket, Arc::clone(&state)));
            return Ok(Echo { target, state, task });
        }
        let (listener, target) = match self.target {
            Target::Address(address) => {
                let listener =
                    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
                let bound = listener.local_addr()?;
                (Listener::Tcp(listener), Target::Address(bound))
            }
            Target::Unix(path) => {
                let listener =
                    UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
                (Listener::Unix(listener), Target::Unix(path))
            }
        };
        let task = tokio::spawn(serve(listener, tls, self.kind, Arc::clone(&state)));
        Ok(Echo { target, state, task })
    }

    fn tls_acceptor(&self) -> Result<Option<TlsAcceptor>> {
        let Some(identity) = &self.identity else { return Ok(None) };
        let builder =
            rustls::ServerConfig::builder_with_provider(pki::provider()).with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(pki::roots(ca)?, pki::provider()).build()?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(identity.chain()?, identity.private_key()?)?;
        if self.kind == Kind::Http {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }
}
