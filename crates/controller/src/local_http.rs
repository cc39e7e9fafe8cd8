//! HTTP requests on this machine: to the admin interface of a controller or an Envoy.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kit::net::Address;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const LARGEST: usize = 1 << 30;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("cannot connect to {address}: {why}")]
    Connect {
        /// Where.
        address: Address,
        /// What the system says.
        why: io::Error,
    },
    /// Not HTTP, or the connection broke.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The body is too large or broke off.
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {PATIENCE:?}")]
    Late,
}

/// Sends a request without a body and reads the whole answer.
///
/// # Errors
/// When nobody listens, or there is no whole answer within ten seconds.
pub async fn send(at: &Address, method: Method, path: &str) -> Result<(StatusCode, Bytes), Error> {
    let exchange = async {
        let response = open(at, method, path).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(Error::Body)?;
        Ok((status, body.to_bytes()))
    };
    timeout(PATIENCE, exchange).await.map_err(|_| Error::Late)?
}

/// Sends a request without a body and hands out the answer as it comes, for streams without an end.
///
/// # Errors
/// When nobody listens, or the answer does not begin.
pub async fn open(at: &Address, method: Method, path: &str) -> Result<Response<Incoming>, Error> {
    let failed = |why| Error::Connect { address: at.clone(), why };
    match at {
        Address::Unix(socket) => exchange(UnixStream::connect(socket).await.map_err(failed)?, method, path).await,
        Address::Tcp(address) => exchange(TcpStream::connect(address).await.map_err(failed)?, method, path).await,
    }
}

async fn exchange<S>(stream: S, method: Method, path: &str) -> Result<Response<Incoming>, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer; what goes wrong with it goes wrong with the request, too.
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    let request = request.body(Empty::<Bytes>::new()).expect("paths are written by us and valid");
    Ok(sender.send_request(request).await?)
}
