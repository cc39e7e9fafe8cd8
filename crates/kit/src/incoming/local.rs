//! A connection over a Unix socket, which wakes nobody for nothing.
//!
//! tokio waits for a socket to be readable and writable at once. Of a Unix socket the kernel says that there is room whenever
//! the other end has read something: each answer that is taken would wake its server once more. So room is waited for only
//! where there was none.
//!
//! A socket whose connection has moved to another lane is waited for there from then on.

use std::cell::RefCell;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::lanes::Lanes;

/// The most that is read at once.
const MOST: usize = 16 << 10;

thread_local! {
    /// What is read into first: what it is for would have to be zeroed before, all of it for each call.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; MOST].into());
}

/// A connection over a Unix socket.
#[derive(Debug)]
pub(crate) struct Local {
    socket: AsyncFd<UnixStream>,
    /// While there is no room to write.
    full: Option<AsyncFd<UnixStream>>,
    /// The lane that waits.
    lane: Option<usize>,
}

/// What waits for a socket in one direction.
#[expect(deprecated, reason = "its successor is unsafe, for types whose descriptor may change; that of a socket stays")]
fn waiting(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

impl Local {
    /// A socket that does not block, in the runtime that calls this.
    pub(crate) fn new(socket: UnixStream) -> io::Result<Self> {
        Ok(Self { socket: waiting(socket, Interest::READABLE)?, full: None, lane: Lanes::current() })
    }

    /// From now on this lane waits. Where no descriptor is left another one still does, which costs a wake-up more.
    fn settle(&mut self) {
        let lane = Lanes::current();
        if self.lane == lane {
            return;
        }
        self.lane = lane;
        let again = self.socket.get_ref().try_clone();
        if let Ok(socket) = again.and_then(|socket| waiting(socket, Interest::READABLE)) {
            (self.socket, self.full) = (socket, None);
        }
    }

    fn poll_when_room(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.settle();
        loop {
            if let Some(full) = &self.full {
                ready!(full.poll_write_ready(context))?.retain_ready();
                self.full = None;
            }
            match write(self.socket.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let again = self.socket.get_ref().try_clone()?;
                    self.full = Some(waiting(again, Interest::WRITABLE)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Local {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.settle();
        let room = buffer.remaining().min(MOST);
        READ.with_borrow_mut(|read| {
            loop {
                let mut readable = ready!(self.socket.poll_read_ready(context))?;
                match readable.try_io(|socket| socket.get_ref().read(&mut read[..room])) {
                    Ok(Ok(count)) => {
                        // Less than there was room for is all there is; none is the end.
                        if count > 0 && count < room {
                            readable.clear_ready();
                        }
                        buffer.put_slice(&read[..count]);
                        return Poll::Ready(Ok(()));
                    }
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(Err(error)) => return Poll::Ready(Err(error)),
                    Err(_nothing_yet) => {}
                }
            }
        })
    }
}

impl AsyncWrite for Local {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_when_room(context, |mut socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_when_room(context, |mut socket| socket.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Local, Local) {
        let ends = UnixStream::pair().unwrap();
        [&ends.0, &ends.1].into_iter().for_each(|end| end.set_nonblocking(true).unwrap());
        (Local::new(ends.0).unwrap(), Local::new(ends.1).unwrap())
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_for_room() {
        let (mut one, mut other) = pair();
        let sent: Vec<u8> = (0..4 << 20).map(|index: u32| index.to_le_bytes()[index as usize % 3]).collect();
        let text = sent.clone();
        let writing = tokio::spawn(async move {
            one.write_all(&text).await.unwrap();
            assert!(one.full.is_none());
            one.shutdown().await.unwrap();
            one
        });
        let mut received = Vec::new();
        other.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), sent.len());
        assert!(received == sent);
        other.write_all(b"thanks").await.unwrap();
        let mut answer = [0; 6];
        writing.await.unwrap().read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"thanks");
    }

    #[tokio::test]
    async fn an_end_that_is_gone_is_seen() {
        let (mut one, other) = pair();
        drop(other);
        assert_eq!(one.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(one.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
