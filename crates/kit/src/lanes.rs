//! Lanes: threads, one for each processor, each of which runs tasks of its own to their end. What a lane has begun never
//! waits for another thread to be woken, which for small requests costs more than to answer them.
//!
//! ```text
//! listener ─▶ connections, by number ─┬─▶ lane 0: its connections, its way to Redis
//!                                     └─▶ lane 1: …
//! ```
//!
//! Calls that are answered together share wake-ups. So lanes can be gathered: one is used until it has enough to do, then more,
//! and connections move along with all that is done with them.

mod load;

use std::cell::Cell;
use std::fs::File;
use std::pin::Pin;
use std::sync::{Arc, Weak, mpsc};
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use load::{Gathering, Meter, TICK};

thread_local! {
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The lanes of a process. Clones share them; their threads end with the last.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<All>);

#[derive(Debug)]
struct All {
    lanes: Vec<Lane>,
    /// How many of them, from the first, have work.
    used: watch::Sender<usize>,
}

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    meter: Meter,
    /// Dropped when the thread may end.
    _until: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts a lane for each processor, all of which are used from the beginning: for work that stays where it was begun, such
    /// as long streams.
    pub fn start() -> io::Result<Self> {
        let lanes: Vec<_> = (0..processors()).map(Lane::start).collect::<io::Result<_>>()?;
        let used = watch::Sender::new(lanes.len());
        Ok(Self(Arc::new(All { lanes, used })))
    }

    /// The same; as many are used as it takes, at first one: for short calls.
    pub fn start_gathered() -> io::Result<Self> {
        let all = Self::start()?;
        all.0.used.send_replace(1);
        all.0.lanes[0].runtime.spawn(gather(Arc::downgrade(&all.0)));
        Ok(all)
    }

    /// Where to start tasks in each of them.
    pub fn runtimes(&self) -> impl ExactSizeIterator<Item = &Handle> {
        self.0.lanes.iter().map(|lane| &lane.runtime)
    }

    /// Starts a task that may move between two of its polls: work with the same number is always in the same lane.
    pub fn spawn(&self, number: usize, work: impl Future<Output = ()> + Send + 'static) {
        self.clone().settle(number, Box::pin(work));
    }

    /// The number of the lane that calls this; none outside of lanes.
    pub fn current() -> Option<usize> {
        CURRENT.get()
    }

    fn settle(self, number: usize, mut work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut used = self.0.used.subscribe();
        let home = number % *used.borrow_and_update();
        self.0.lanes[home].runtime.clone().spawn(async move {
            let moves = tokio::select! {
                biased;
                () = work.as_mut() => false,
                // An error is not possible: we have them ourselves.
                _ = used.wait_for(|used| number % used != home) => true,
            };
            if moves {
                self.settle(number, work);
            }
        });
    }
}

/// How many there are.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Uses as many lanes as it takes, for as long as there are any.
async fn gather(all: Weak<All>) {
    let (mut ticks, mut gathering) = (tokio::time::interval(TICK), Gathering::default());
    loop {
        ticks.tick().await;
        let Some(all) = all.upgrade() else { return };
        let used = *all.used.borrow();
        // Those that are not used have something to end at most.
        let loads: Option<Vec<_>> = all.lanes[..used].iter().map(|lane| lane.meter.load()).collect();
        let next = loads.map_or(all.lanes.len(), |loads| gathering.next(&loads, all.lanes.len()));
        if next != used {
            tracing::debug!(used, next, "lanes");
            all.used.send_replace(next);
        }
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (until, ended) = oneshot::channel::<()>();
        let (meter, metered) = mpsc::sync_channel(1);
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("lane {number}")).spawn(move || {
            CURRENT.set(Some(number));
            // Whoever started it waits for this.
            let _ = meter.send(File::open(load::OF_THIS_THREAD));
            // Nothing is ever sent: the error says that the lanes are gone.
            let _ = runtime.block_on(ended);
        })?;
        let figures = metered.recv().ok().and_then(Result::ok);
        Ok(Self { runtime: handle, meter: Meter::new(figures), _until: until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::eventually;

    #[tokio::test]
    async fn tasks_stay_in_their_lane() {
        let lanes = Lanes::start().unwrap();
        assert_eq!(Lanes::current(), None);
        for (number, runtime) in lanes.runtimes().enumerate() {
            let nested = async { tokio::spawn(async { Lanes::current() }).await.unwrap() };
            assert_eq!(runtime.spawn(nested).await.unwrap(), Some(number));
        }
    }

    #[tokio::test]
    async fn work_moves_when_lanes_are_used_and_left() {
        let two: Vec<_> = (0..2).map(|number| Lane::start(number).unwrap()).collect();
        let lanes = Lanes(Arc::new(All { lanes: two, used: watch::Sender::new(1) }));
        let (seen, open) = (watch::Sender::new([None; 2]), watch::Sender::new(()));
        for number in 0..2 {
            let (seen, open) = (seen.clone(), open.subscribe());
            lanes.spawn(number, async move {
                while open.has_changed().is_ok() {
                    seen.send_modify(|seen| seen[number] = Lanes::current());
                    tokio::task::yield_now().await;
                }
            });
        }
        for (used, homes) in [(1, [0, 0]), (2, [0, 1]), (1, [0, 0])] {
            lanes.0.used.send_replace(used);
            let homes = homes.map(Some);
            eventually("their lanes", async || (*seen.borrow() == homes).then_some(())).await;
        }
    }

    #[tokio::test]
    async fn a_lane_that_computes_is_seen() {
        let lane = Lane::start(0).unwrap();
        let (meter, runtime) = (&lane.meter, &lane.runtime);
        meter.load();
        let (until, mut ended) = oneshot::channel::<()>();
        let computing = runtime.spawn(async move {
            while ended.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                tokio::task::yield_now().await;
            }
        });
        let is_busy = |load: load::Load| load.running + load.waiting > 0.9;
        eventually("a busy lane", async || meter.load().filter(|load| is_busy(*load)).map(drop)).await;
        drop(until);
        computing.await.unwrap();
        let is_calm = |load: load::Load| load.running + load.waiting < 0.1;
        eventually("a calm lane", async || meter.load().filter(|load| is_calm(*load)).map(drop)).await;
    }
}
