//! What the engine is told of a request and of its response. Values are bytes: header values need not be UTF-8, and may hold
//! zeros.

use crate::wire::Writer;

/// The beginning of a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a, H> {
    /// The transaction's id, for logs.
    pub id: &'a str,
    /// The client's address and port.
    pub client: (&'a str, u16),
    /// Ours.
    pub server: (&'a str, u16),
    /// `GET`.
    pub method: &'a [u8],
    /// The request target: path and query.
    pub target: &'a [u8],
    /// `HTTP/1.1`.
    pub protocol: &'a str,
    /// The host without port.
    pub host: &'a [u8],
    /// Names and values, in their order.
    pub headers: H,
}

/// The beginning of a response.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a, H> {
    /// `HTTP/1.1`.
    pub protocol: &'a str,
    /// Its status.
    pub status: u16,
    /// Names and values, in their order.
    pub headers: H,
}

/// What a usual head takes.
const HEAD: usize = 1024;

impl<'a, H: IntoIterator<Item = (&'a [u8], &'a [u8])>> Request<'a, H> {
    pub(crate) fn encode(self) -> Writer {
        let Self { id, client, server, method, target, protocol, host, headers } = self;
        let mut batch = Writer::with_capacity(HEAD + target.len());
        batch.text(id.as_bytes());
        for (address, port) in [client, server] {
            batch.text(address.as_bytes());
            batch.number(port.into());
        }
        batch.text(method);
        batch.text(target);
        batch.text(protocol.as_bytes());
        batch.text(host);
        fields(&mut batch, headers);
        batch
    }
}

impl<'a, H: IntoIterator<Item = (&'a [u8], &'a [u8])>> Response<'a, H> {
    pub(crate) fn encode(self) -> Writer {
        let mut batch = Writer::with_capacity(HEAD);
        batch.text(self.protocol.as_bytes());
        batch.number(self.status.into());
        fields(&mut batch, self.headers);
        batch
    }
}

fn fields<'a>(batch: &mut Writer, headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
    for (name, value) in headers {
        batch.text(name);
        batch.text(value);
    }
}
