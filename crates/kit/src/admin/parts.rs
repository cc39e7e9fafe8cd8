//! An answer that is sent in parts: however large it is, and however slowly it is read, memory holds no more than a few of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

/// How long a reader may take for a part.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Sends these parts, each made when the one before it is on its way. A reader that takes none for so long gets no more, and
/// its answer ends as a broken one.
pub(super) fn body(parts: impl Iterator<Item = Vec<u8>> + Send + 'static, patience: Duration) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    let whole = Arc::new(AtomicBool::new(false));
    let sent = Arc::clone(&whole);
    tokio::spawn(async move {
        for part in parts {
            // Whoever has gone needs no more of them either.
            if sender.send_timeout(part, patience).await.is_err() {
                return;
            }
        }
        sent.store(true, Ordering::Release);
    });
    let end = tokio_stream::once(()).filter_map(move |()| {
        let broken = !whole.load(Ordering::Acquire);
        broken.then(|| Err(io::Error::other("the reader is too slow")))
    });
    Body::from_stream(ReceiverStream::new(receiver).map(Ok).chain(end))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    /// So many parts of one byte, and the word when they are dropped.
    fn parts(count: u8) -> (impl Iterator<Item = Vec<u8>> + Send, mpsc::Receiver<()>) {
        let (alive, dropped) = mpsc::channel(1);
        let part = move |number| {
            let _ = &alive;
            vec![number]
        };
        ((0..count).map(part), dropped)
    }

    #[tokio::test]
    async fn all_parts_come_in_order() {
        let (parts, _) = parts(9);
        let all = to_bytes(body(parts, PATIENCE), 100).await.unwrap();
        assert_eq!(&*all, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(to_bytes(body(std::iter::empty(), PATIENCE), 100).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_not_read_is_given_up_and_does_not_look_whole() {
        let (parts, mut dropped) = parts(9);
        let body = body(parts, Duration::from_millis(20));
        assert_eq!(dropped.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(dropped.recv().await, None);
        assert!(to_bytes(body, 100).await.is_err());
    }

    #[tokio::test]
    async fn nothing_is_made_for_those_who_have_gone() {
        let (parts, mut dropped) = parts(9);
        drop(body(parts, PATIENCE));
        assert_eq!(dropped.recv().await, None);
    }
}
