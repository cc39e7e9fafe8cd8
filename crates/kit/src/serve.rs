//! HTTP servers that drain: an axum router on accepted connections.

use std::io;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;

use crate::drain::Shutdown;
use crate::incoming::{Connection, Incoming, Peer};

/// Serves until `shutdown` stops and all requests are answered, or until it forces. Handlers find the other end as
/// `ConnectInfo<Peer>`.
pub async fn http(incoming: Incoming, router: Router, shutdown: &Shutdown) -> io::Result<()> {
    let stopping = shutdown.clone();
    let server = axum::serve(incoming, router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(async move { stopping.stopping().await });
    shutdown.unless_forced(server.into_future()).await.unwrap_or(Ok(()))
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        match self.next().await {
            Some(connection) => {
                let peer = connection.peer.clone();
                (connection, peer)
            }
            // No more connections: the server ends by its own signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::default())
    }
}

impl Connected<IncomingStream<'_, Incoming>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Self {
        stream.remote_addr().clone()
    }
}
