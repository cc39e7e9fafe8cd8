//! Lines over TCP and datagrams over UDP, each sent back.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UdpSocket;

use super::State;
use crate::client::Stream;

pub(super) async fn serve_lines(stream: Box<dyn Stream>, state: &State) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // The end of the stream, an error, or text that is none: the connection ends.
    while matches!(stream.read_line(&mut line).await, Ok(length) if length > 0) {
        state.count_one();
        let reply = format!("{}\n", state.reply(line.trim_end()));
        if stream.write_all(reply.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        line.clear();
    }
}

pub(super) async fn serve_datagrams(socket: UdpSocket, state: Arc<State>) {
    let mut datagram = [0; 65_535];
    loop {
        // An error here reports an earlier answer that nobody took; the socket is still good.
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else { continue };
        state.count_one();
        let reply = state.reply(&String::from_utf8_lossy(&datagram[..length]));
        let _ = socket.send_to(reply.as_bytes(), from).await;
    }
}
