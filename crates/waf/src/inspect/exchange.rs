//! What is known of a request beside its head, before any rule has run.

use coraza::{Request, Response};

use crate::head::Head;

/// A request, and later its response, as rules are told of them.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// By which logs and clients know it.
    pub id: String,
    /// The client's address and port.
    pub client: (String, u16),
    /// Ours.
    pub server: (String, u16),
    /// `HTTP/1.1`.
    pub protocol: String,
    /// The route's name, as the control plane has it.
    pub route: String,
    /// The request's head.
    pub head: Head,
}

type Fields<'a> = Box<dyn Iterator<Item = (&'a [u8], &'a [u8])> + 'a>;

impl Exchange {
    /// The request for the engine, with more fields at its end.
    pub(super) fn request<'a>(&'a self, more: &'a Head) -> Request<'a, Fields<'a>> {
        Request {
            id: &self.id,
            client: (&self.client.0, self.client.1),
            server: (&self.server.0, self.server.1),
            method: self.head.get(":method").unwrap_or_default(),
            target: self.head.get(":path").unwrap_or_default(),
            protocol: &self.protocol,
            host: self.head.host(),
            headers: Box::new(self.head.fields().chain(more.fields())),
        }
    }

    /// The response for the engine.
    pub(super) fn response<'a>(&'a self, head: &'a Head) -> Response<'a, Fields<'a>> {
        Response { protocol: &self.protocol, status: head.status(), headers: Box::new(head.fields()) }
    }
}
