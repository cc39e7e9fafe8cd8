//! Accepting connections: TCP or Unix, with or without TLS, then HTTP or lines.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::spec::Kind;
use super::{EchoedTls, State, http, lines};
use crate::client::Stream;

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Serves until it is dropped; its connections break then.
pub(super) async fn serve(listener: Listener, tls: Option<TlsAcceptor>, kind: Kind, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        // An accepted connection that is gone already is no reason to stop.
        let Ok(stream) = listener.accept().await else { continue };
        connections.spawn(connection(stream, tls.clone(), kind, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: Box<dyn Stream>, tls: Option<TlsAcceptor>, kind: Kind, state: Arc<State>) {
    let Some(tls) = tls else { return talk(stream, None, kind, state).await };
    // A client that breaks the handshake off sees the alert; there is nobody else to tell.
    let Ok(stream) = tls.accept(stream).await else { return };
    let session = EchoedTls::of(stream.get_ref().1);
    talk(Box::new(stream), Some(session), kind, state).await;
}

async fn talk(stream: Box<dyn Stream>, tls: Option<EchoedTls>, kind: Kind, state: Arc<State>) {
    if kind == Kind::Tcp {
        return lines::serve_lines(stream, &state).await;
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (state, tls) = (Arc::clone(&state), tls.clone());
        async move { Ok::<_, std::convert::Infallible>(http::answer(request, tls, &state).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // WebSocket over HTTP/2 (RFC 8441).
    server.http2().enable_connect_protocol();
    // How a connection ends is the client's business.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}
