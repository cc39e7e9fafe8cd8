//! HTTP/2 and HTTP/3 by hand: a request whose fields go out as they are listed, pseudo headers too, however wrong. Clients that
//! know the protocol would put them right, or refuse to send them.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, RecvStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect::TlsSpec;
use crate::PATIENCE;

/// Names and values, in the order in which they go out.
pub type Fields<'a> = [(&'a str, &'a str)];

/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// Sends a request without a body by HTTP/2 without TLS; the body of the answer, or nothing when the other side ends the
/// stream or the connection instead of answering.
pub async fn http2_fields(address: SocketAddr, fields: &Fields<'_>) -> Result<Option<Bytes>> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.write_all(&http2::request(fields)).await?;
        Ok(http2::answer(&mut stream).await)
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no answer")?
}

/// As [`http2_fields`], by HTTP/3, with that server name, trusting that authority (PEM).
pub async fn http3_fields(address: SocketAddr, sni: &str, ca: &str, fields: &Fields<'_>) -> Result<Option<Bytes>> {
    let spec = TlsSpec { sni: sni.to_owned(), ca: ca.to_owned(), identity: None, alpn: vec![b"h3".to_vec()] };
    let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let exchange = async {
        let endpoint = Endpoint::client(any.parse()?)?;
        let tls = QuicClientConfig::try_from(spec.config()?)?;
        let connecting = endpoint.connect_with(ClientConfig::new(Arc::new(tls)), address, sni)?;
        let connection = connecting.await.with_context(|| format!("no QUIC with {address}"))?;
        let mut control = connection.open_uni().await?;
        control.write_all(&http3::SETTINGS).await?;
        let (mut request, mut answer) = connection.open_bi().await?;
        // Where the other side has had enough already, the answer says so.
        let _ = request.write_all(&http3::request(fields)).await;
        let _ = request.finish();
        Ok(http3::answer(&mut answer).await)
    };
    tokio::time::timeout(PATIENCE, exchange).await.context("no answer")?
}

/// An integer with a prefix of so many bits, below other bits (RFC 7541, 5.1).
fn prefixed(out: &mut BytesMut, above: u8, bits: u32, number: usize) {
    let full = (1 << bits) - 1;
    let small = u8::try_from(number).ok().filter(|number| *number < full);
    out.put_u8(above | small.unwrap_or(full));
    if small.is_none() {
        let mut rest = number - usize::from(full);
        while rest >= 128 {
            out.put_u8(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        out.put_u8((rest & 0x7f) as u8);
    }
}

/// Text as it is, its length before it.
fn text(out: &mut BytesMut, above: u8, bits: u32, text: &str) {
    prefixed(out, above, bits, text.len());
    out.put_slice(text.as_bytes());
}

mod http2 {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    /// All that goes out: one stream, its fields literal and never indexed (RFC 7541, 6.2.3).
    pub(super) fn request(fields: &Fields<'_>) -> BytesMut {
        let mut block = BytesMut::new();
        for (name, value) in fields {
            block.put_u8(0x10);
            text(&mut block, 0, 7, name);
            text(&mut block, 0, 7, value);
        }
        let mut out = BytesMut::from(PREFACE);
        frame(&mut out, SETTINGS, 0, 0, &[]);
        frame(&mut out, HEADERS, END_STREAM | END_HEADERS, 1, &block);
        out
    }

    fn frame(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        out.put_uint(payload.len() as u64, 3);
        out.put_u8(kind);
        out.put_u8(flags);
        out.put_u32(stream);
        out.put_slice(payload);
    }

    /// The body of the answer, none when its stream or the connection ends before it.
    pub(super) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let mut rest = &head[..];
            let length = rest.get_uint(3);
            let (kind, flags) = (rest.get_u8(), rest.get_u8());
            let mut payload = vec![0; usize::try_from(length).ok()?];
            stream.read_exact(&mut payload).await.ok()?;
            match kind {
                DATA => body.put_slice(&payload),
                RST_STREAM | GOAWAY => return None,
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Some(body.freeze());
            }
        }
    }
}

mod http3 {
    use super::*;

    const DATA: u64 = 0;
    const HEADERS: u64 = 1;

    /// A control stream (RFC 9114, 6.2.1) with settings as usual.
    pub(super) const SETTINGS: [u8; 3] = [0, 4, 0];

    /// One frame, its fields literal and never indexed (RFC 9204, 4.5.6).
    pub(super) fn request(fields: &Fields<'_>) -> BytesMut {
        // No dynamic table.
        let mut section = BytesMut::from(&[0, 0][..]);
        for (name, value) in fields {
            text(&mut section, 0x30, 3, name);
            text(&mut section, 0, 7, value);
        }
        let mut out = BytesMut::new();
        number(&mut out, HEADERS);
        number(&mut out, section.len() as u64);
        out.unsplit(section);
        out
    }

    /// The body of the answer, none when its stream or the connection ends before it.
    pub(super) async fn answer(stream: &mut RecvStream) -> Option<Bytes> {
        let mut frames = Bytes::from(stream.read_to_end(LONGEST).await.ok()?);
        let mut body = BytesMut::new();
        while !frames.is_empty() {
            let (kind, length) = (read_number(&mut frames)?, read_number(&mut frames)?);
            let length = usize::try_from(length).ok().filter(|length| *length <= frames.len())?;
            let payload = frames.split_to(length);
            if kind == DATA {
                body.put_slice(&payload);
            }
        }
        Some(body.freeze())
    }

    /// A number that says its own length (RFC 9000, 16).
    fn number(out: &mut BytesMut, number: u64) {
        match number {
            0..0x40 => out.put_u8(number as u8),
            0x40..0x4000 => out.put_u16(0x4000 | number as u16),
            _ => out.put_u32(0x8000_0000 | number as u32),
        }
    }

    fn read_number(bytes: &mut Bytes) -> Option<u64> {
        let length = 1 << (bytes.first()? >> 6);
        let value = (bytes.len() >= length).then(|| bytes.get_uint(length))?;
        Some(value & (u64::MAX >> (66 - 8 * length)))
    }
}
