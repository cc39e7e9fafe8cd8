//! Accepted connections, plain or TLS, ready to be served; HTTP and gRPC servers take the same.

mod local;
mod tcp;

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::LazyConfigAcceptor;

use crate::drain::Shutdown;
use crate::net::{Address, Listener, Socket};
use crate::reload::Reloading;
use crate::tls::Identity;

pub(crate) use local::Local;
use tcp::Tcp;

/// A peer that has not finished its handshake by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time: each costs processor time before we know who asks.
const HANDSHAKES: usize = 256;
/// Connections that are accepted but not yet taken by the server.
const READY: usize = 64;
/// How long accepting rests when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The address; none over a Unix socket.
    pub address: Option<SocketAddr>,
    /// The names in the verified certificate; none without mTLS.
    pub identity: Option<Arc<Identity>>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One accepted connection.
pub struct Connection {
    io: Box<dyn Io>,
    pub(crate) peer: Peer,
}

impl Connection {
    /// A connection that we opened ourselves.
    pub(crate) fn to_server(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { io: Box::new(io), peer: Peer::default() }
    }
}

/// The accepted connections of a listener, until the process stops accepting.
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    address: Address,
}

impl Incoming {
    /// Accepts on `listener`, with TLS when `tls` is given, until `shutdown` stops: then the port is closed.
    pub fn start(listener: Listener, tls: Option<Reloading<ServerConfig>>, shutdown: &Shutdown) -> Self {
        let (door, incoming) = Door::new(listener.address(), tls);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let all = async { while door.let_in(accept(&listener).await).await {} };
            shutdown.unless_stopping(all).await;
        });
        incoming
    }

    /// The bound address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection; `None` when no more come.
    pub async fn next(&mut self) -> Option<Connection> {
        self.connections.recv().await
    }
}

/// An accepted connection.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl TryFrom<Accepted> for Connection {
    type Error = io::Error;

    fn try_from(accepted: Accepted) -> io::Result<Self> {
        Ok(match accepted {
            Accepted::Tcp(stream, address) => {
                // Small messages go out at once; a socket that refuses the option works too.
                let _ = stream.set_nodelay(true);
                Self { io: Box::new(Tcp::new(stream)), peer: Peer { address: Some(address), identity: None } }
            }
            Accepted::Unix(stream) => Self { io: Box::new(Local::new(stream)?), peer: Peer::default() },
        })
    }
}

/// Where connections become ready to be served.
struct Door {
    tls: Option<Reloading<ServerConfig>>,
    handshakes: Arc<Semaphore>,
    ready: mpsc::Sender<Connection>,
}

impl Door {
    fn new(address: &Address, tls: Option<Reloading<ServerConfig>>) -> (Self, Incoming) {
        let (ready, connections) = mpsc::channel(READY);
        let door = Self { tls, handshakes: Arc::new(Semaphore::new(HANDSHAKES)), ready };
        (door, Incoming { connections, address: address.clone() })
    }

    /// Says whether there is still somebody to serve it.
    async fn let_in(&self, accepted: Accepted) -> bool {
        let connection = match Connection::try_from(accepted) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "cannot take over a connection");
                return true;
            }
        };
        let Some(tls) = &self.tls else { return self.ready.send(connection).await.is_ok() };
        let (tls, handshakes, ready) = (tls.get(), Arc::clone(&self.handshakes), self.ready.clone());
        tokio::spawn(async move {
            if let Some(connection) = handshake(tls, &handshakes, connection).await {
                // An error means that the server is gone.
                let _ = ready.send(connection).await;
            }
        });
        true
    }
}

/// The next connection; errors are waited out.
async fn accept(listener: &Listener) -> Accepted {
    loop {
        let accepted = match &listener.socket {
            Socket::Tcp(tcp) => tcp.accept().await.map(|(stream, address)| Accepted::Tcp(stream, address)),
            Socket::Unix { listener: unix, .. } => {
                unix.accept().await.and_then(|(stream, _)| Ok(Accepted::Unix(stream.into_std()?)))
            }
        };
        match accepted {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(what = listener.purpose().name, %error, "cannot accept");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Errors about the connection that would have been accepted, not about the listener (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn handshake(tls: Arc<ServerConfig>, handshakes: &Semaphore, connection: Connection) -> Option<Connection> {
    let Connection { io, mut peer } = connection;
    let all = async {
        // Who says nothing keeps nobody else waiting.
        let begun = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        let _permit = handshakes.acquire().await;
        begun.into_stream(tls).await
    };
    match tokio::time::timeout(HANDSHAKE, all).await {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let leaf = certificates.and_then(<[_]>::first);
            peer.identity = leaf.map(|leaf| Arc::new(Identity::of_certificate(leaf)));
            Some(Connection { io: Box::new(stream), peer })
        }
        Ok(Err(error)) => {
            tracing::debug!(peer = ?peer.address, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(peer = ?peer.address, "TLS handshake took more than {HANDSHAKE:?}");
            None
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
