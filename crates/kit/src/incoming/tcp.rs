//! A connection over TCP, which is waited for in the lane that it is in.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::lanes::Lanes;

/// A connection over TCP.
#[derive(Debug)]
pub(super) struct Tcp {
    stream: TcpStream,
    /// The lane that waits.
    lane: Option<usize>,
}

impl Tcp {
    /// A stream of the runtime that calls this.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, lane: Lanes::current() }
    }

    /// The stream, which from now on this lane waits for. Where no descriptor is left another one still does, which costs a
    /// wake-up more.
    fn settled(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        let this = self.get_mut();
        let lane = Lanes::current();
        if this.lane != lane {
            this.lane = lane;
            let again = this.stream.as_fd().try_clone_to_owned();
            if let Ok(stream) = again.and_then(|again| TcpStream::from_std(again.into())) {
                this.stream = stream;
            }
        }
        Pin::new(&mut this.stream)
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.settled().poll_read(context, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.settled().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.settled().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.settled().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.settled().poll_shutdown(context)
    }
}
