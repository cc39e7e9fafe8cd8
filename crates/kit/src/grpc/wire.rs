//! A connection of which what is written in one turn goes out in one write.
//!
//! HTTP/2 hands over an answer in pieces, and those of several calls one by one: each write of its own is a system call, and
//! wakes the client once more, for an answer that is not whole yet.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::incoming::Connection;

/// The most that waits for the end of a turn.
const MOST: usize = 64 << 10;
/// What each client says first.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Wire(Arc<Mutex<Inner>>);

struct Inner {
    connection: Connection,
    /// How many bytes have been read, as long as they are fewer than those of a greeting.
    heard: usize,
    waiting: BytesMut,
    /// Whether there is something to write, or to flush.
    dirty: bool,
    /// How writing failed at the end of a turn, where nobody could be told.
    broken: Option<io::ErrorKind>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(connection: Connection) -> Self {
        let waiting = BytesMut::new();
        Self(Arc::new(Mutex::new(Inner { connection, heard: 0, waiting, dirty: false, broken: None })))
    }

    /// Does what is done with this connection, to its end. Each time it is polled is a turn.
    pub(super) async fn turns<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let done = work.as_mut().poll(context);
            self.lock().end_turn(context);
            done
        })
        .await
    }

    /// Waits until a greeting has been read; in the task that reads, after what reads: it is not woken for itself.
    pub(super) async fn greeted(&self) {
        poll_fn(|_| if self.lock().heard < GREETING.len() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn end_turn(&mut self, context: &mut Context<'_>) {
        if !self.dirty || self.broken.is_some() {
            return;
        }
        if let Poll::Ready(Err(error)) = self.poll_write_out(context) {
            self.broken = Some(error.kind());
            // The next turn learns of it.
            context.waker().wake_by_ref();
        }
    }

    fn poll_write_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting.has_remaining() {
            let count = ready!(Pin::new(&mut self.connection).poll_write(context, &self.waiting))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(count);
        }
        ready!(Pin::new(&mut self.connection).poll_flush(context))?;
        self.dirty = false;
        Poll::Ready(Ok(()))
    }

    fn whole(&self) -> io::Result<()> {
        self.broken.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// How many bytes may be added; none while those before have no room.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.whole()?;
        if self.waiting.len() >= MOST {
            ready!(self.poll_write_out(context))?;
        }
        Poll::Ready(Ok(MOST - self.waiting.len()))
    }

    fn add(&mut self, bytes: &[u8], room: usize) -> usize {
        let count = bytes.len().min(room);
        self.waiting.extend_from_slice(&bytes[..count]);
        self.dirty = true;
        count
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        inner.whole()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut inner.connection).poll_read(context, buffer);
        if inner.heard < GREETING.len() {
            inner.heard += buffer.filled().len() - before;
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        let room = ready!(inner.poll_room(context))?;
        Poll::Ready(Ok(inner.add(bytes, room)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        let room = ready!(inner.poll_room(context))?;
        Poll::Ready(Ok(parts.iter().fold(0, |added, part| added + inner.add(part, room - added))))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done when the turn ends.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.lock().whole())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        inner.whole()?;
        ready!(inner.poll_write_out(context))?;
        Pin::new(&mut inner.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// Counts writes.
    struct Counting(DuplexStream, Arc<AtomicUsize>);

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    /// A wire, its other end, and how often it was written to.
    fn wire(room: usize) -> (Wire, DuplexStream, Arc<AtomicUsize>) {
        let (near, far) = duplex(room);
        let count = Arc::new(AtomicUsize::new(0));
        (Wire::new(Connection::to_server(Counting(near, Arc::clone(&count)))), far, count)
    }

    #[tokio::test]
    async fn a_turn_is_one_write() {
        let (wire, mut far, count) = wire(1024);
        let mut end = wire.clone();
        for turn in 1..=2 {
            let pieces = async {
                for piece in ["head", "message", "trailers"] {
                    end.write_all(piece.as_bytes()).await.unwrap();
                    end.flush().await.unwrap();
                }
            };
            wire.turns(pieces).await;
            assert_eq!(count.load(Ordering::Relaxed), turn);
            let mut got = [0; 19];
            far.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"headmessagetrailers");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_for_room() {
        let (wire, mut far, _) = wire(100);
        let sent: Vec<u8> = (0..1 << 20).map(|index: u32| index.to_le_bytes()[index as usize % 3]).collect();
        let (mut end, text) = (wire.clone(), sent.clone());
        let writing = tokio::spawn(async move {
            let work = async {
                end.write_all(&text).await.unwrap();
                end.shutdown().await.unwrap();
            };
            wire.turns(work).await;
            assert!(!wire.lock().dirty);
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn the_next_turn_learns_that_writing_failed() {
        let (wire, far, _) = wire(100);
        drop(far);
        let mut end = wire.clone();
        let work = async {
            end.write_all(b"x").await.unwrap();
            tokio::task::yield_now().await;
            end.read(&mut [0]).await.unwrap_err().kind()
        };
        assert_eq!(wire.turns(work).await, io::ErrorKind::BrokenPipe);
    }
}
