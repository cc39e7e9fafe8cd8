//! A request as it is written, over a connection of its own: no client would send most of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::cases::{Input, Text};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The status of the answer, `None` when there was none.
pub(crate) async fn send(gateway: SocketAddr, client: Ipv4Addr, input: &Input) -> Option<u16> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::V4(client), 0)).unwrap();
    let mut stream = socket.connect(gateway).await.unwrap();
    let (request, mut answer) = (bytes(input), Vec::new());
    let exchange = async {
        // Envoy may have answered and closed before all is written.
        let _ = stream.write_all(&request).await;
        let mut buffer = [0; 4096];
        while !is_whole(&answer) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, exchange).await;
    let text = String::from_utf8_lossy(&answer);
    text.split_whitespace().nth(1)?.parse().ok()
}

/// The head is enough; the connection is closed with the body unread.
fn is_whole(answer: &[u8]) -> bool {
    answer.windows(4).any(|window| window == b"\r\n\r\n")
}

/// The request as it is written.
pub(crate) fn bytes(input: &Input) -> Vec<u8> {
    if let Some(encoded) = &input.encoded_request {
        let text: String = encoded.split_whitespace().collect();
        return BASE64_STANDARD.decode(text.replace("\\n", "")).unwrap();
    }
    let text = |field: &Option<Text>, usual: &str| field.as_ref().map_or(usual.to_owned(), |text| text.0.clone());
    let (method, uri, version) = (text(&input.method, "GET"), text(&input.uri, "/"), text(&input.version, "HTTP/1.1"));
    let data = text(&input.data, "").into_bytes();
    let mut request = format!("{method} {uri} {version}\r\n").into_bytes();
    let has = |name: &str| input.headers.0.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    for (name, value) in &input.headers.0 {
        request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if input.autocomplete_headers.unwrap_or(true) {
        if !data.is_empty() && !has("content-type") {
            request.extend_from_slice(b"Content-Type: application/x-www-form-urlencoded\r\n");
        }
        if !data.is_empty() && !has("content-length") && !has("transfer-encoding") {
            request.extend_from_slice(format!("Content-Length: {}\r\n", data.len()).as_bytes());
        }
        if !has("connection") {
            request.extend_from_slice(b"Connection: close\r\n");
        }
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(&data);
    request
}
