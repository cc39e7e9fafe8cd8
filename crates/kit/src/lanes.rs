//! Lanes: threads, one for each processor, each of which runs tasks of its own to their end. What a lane has begun never
//! waits for another thread to be woken, which for small requests costs more than to answer them.
//!
//! ```text
//! listener ─▶ connections, in turn ─┬─▶ lane 0: its connections, its way to Redis
//!                                   └─▶ lane 1: …
//! ```

use std::cell::Cell;
use std::sync::Arc;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

thread_local! {
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The lanes of a process. Clones share them; their threads end with the last.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<[Lane]>);

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// Dropped when the thread may end.
    _until: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts a lane for each processor.
    pub fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        (0..count).map(Lane::start).collect::<io::Result<_>>().map(Self)
    }

    /// Where to start tasks in each of them.
    pub fn runtimes(&self) -> impl ExactSizeIterator<Item = &Handle> {
        self.0.iter().map(|lane| &lane.runtime)
    }

    /// The number of the lane that calls this; none outside of lanes.
    pub fn current() -> Option<usize> {
        CURRENT.get()
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        // Before it sleeps others may run: where processors are busy they bring what is next, and nobody has to be woken.
        let runtime = Builder::new_current_thread().enable_all().on_thread_park(thread::yield_now).build()?;
        let (until, ended) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("lane {number}")).spawn(move || {
            CURRENT.set(Some(number));
            // Nothing is ever sent: the error says that the lanes are gone.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, _until: until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_stay_in_their_lane() {
        let lanes = Lanes::start().unwrap();
        assert_eq!(Lanes::current(), None);
        for (number, runtime) in lanes.runtimes().enumerate() {
            let nested = async { tokio::spawn(async { Lanes::current() }).await.unwrap() };
            assert_eq!(runtime.spawn(nested).await.unwrap(), Some(number));
        }
    }
}
