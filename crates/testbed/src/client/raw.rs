//! Plain TCP, TLS and UDP, in the manner of the echo backend: a line or a datagram there, one back.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UdpSocket};

use super::connect::{Target, TlsSpec, open_tls};
use crate::PATIENCE;

/// Sends a line over a new connection and reads one back (without its end). An end of the stream instead is an error.
pub async fn tcp_line(address: SocketAddr, line: &str) -> Result<String> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    exchange_line(stream, line).await
}

/// A TLS stream of whatever is inside, with that server name, trusting that authority (PEM).
pub async fn tls_connect(
    address: SocketAddr,
    sni: &str,
    ca: &str,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let spec = TlsSpec { sni: sni.to_owned(), ca: ca.to_owned(), identity: None, alpn: Vec::new() };
    Ok(open_tls(&Target::Address(address), &spec).await?.stream)
}

/// As [`tcp_line`], through TLS.
pub async fn tls_line(address: SocketAddr, sni: &str, ca: &str, line: &str) -> Result<String> {
    exchange_line(tls_connect(address, sni, ca).await?, line).await
}

async fn exchange_line(stream: impl AsyncRead + AsyncWrite + Unpin, line: &str) -> Result<String> {
    let exchange = async {
        let mut stream = BufReader::new(stream);
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        stream.flush().await?;
        let mut answer = String::new();
        if stream.read_line(&mut answer).await? == 0 {
            bail!("the connection was closed without an answer");
        }
        Ok(answer.trim_end().to_owned())
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no answer")?
}

/// Sends a datagram and waits for one back; the question is asked again every 200 ms, since UDP may lose either.
pub async fn udp_datagram(address: SocketAddr, text: &str) -> Result<String> {
    let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    let exchange = async {
        let mut answer = [0; 65_535];
        loop {
            // A send after an ICMP "port unreachable" fails once; the next one asks again.
            let _ = socket.send(text.as_bytes()).await;
            let received = tokio::time::timeout(std::time::Duration::from_millis(200), socket.recv(&mut answer)).await;
            match received {
                Ok(Ok(length)) => return String::from_utf8_lossy(&answer[..length]).into_owned(),
                Ok(Err(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                Err(_) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no datagram came back")
}
