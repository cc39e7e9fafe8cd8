//! Where rules run: a bounded number of threads that may compute, apart from those that serve.
//!
//! What is large has seats of its own, half as many: rules take time with every byte, and a few requests made for that would
//! otherwise keep all others waiting. The engine's threads are shared in turns of some milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Runs jobs, so many at a time, and lets so many wait.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    small: Seats,
    large: Seats,
    /// For who only looks on: nobody else waits for these.
    beside: Seats,
    most_waiting: usize,
}

/// Seats, and how many wait for one.
#[derive(Debug, Clone)]
struct Seats {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// From how many bytes on a job is large. A request as browsers send them has a few hundred, a form some thousand.
const LARGE: u64 = 16 << 10;

/// How long a job that nobody waits for may wait itself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How many of them may wait: each has what is needed for it, up to two bodies.
const MOST_BESIDE: usize = 64;

/// Why a job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoResult {
    /// Too many are waiting already.
    #[error("too many requests are waiting to be judged")]
    Busy,
    /// The time is up; the job may still run, and its result is thrown away.
    #[error("the deadline has passed")]
    Late,
    /// It panicked.
    #[error("judging panicked")]
    Panicked,
}

impl NoResult {
    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Late => "deadline",
            Self::Panicked => "panic",
        }
    }
}

impl Pool {
    /// `threads` jobs at a time and half as many large ones, `most_waiting` of either before they are turned away.
    pub(crate) fn new(threads: usize, most_waiting: usize) -> Self {
        let half = threads.div_ceil(2);
        Self { small: Seats::new(threads), large: Seats::new(half), beside: Seats::new(half), most_waiting }
    }

    /// Runs a job on so many bytes to its end, or until `deadline` for who waits.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        bytes: u64,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let seats = if bytes < LARGE { &self.small } else { &self.large };
        let seat = seats.take(deadline, self.most_waiting).await?;
        let running = tokio::task::spawn_blocking(move || {
            let _seat = seat;
            job()
        });
        match tokio::time::timeout_at(deadline, running).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(NoResult::Panicked),
            Err(_) => Err(NoResult::Late),
        }
    }

    /// Runs a dear job that nobody waits for, on seats of its own, half as many. Where too many wait for those it is run with
    /// `false`, and must be cheap.
    pub(crate) fn beside(&self, job: impl FnOnce(bool) + Send + 'static) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let pool = self.clone();
                drop(runtime.spawn(async move {
                    match pool.beside.take(Instant::now() + LONGEST_WAIT, MOST_BESIDE.min(pool.most_waiting)).await {
                        Ok(seat) => drop(tokio::task::spawn_blocking(move || {
                            let _seat = seat;
                            job(true);
                        })),
                        Err(_) => pool.later(move || job(false)),
                    }
                }));
            }
            Err(_) => job(true),
        }
    }

    /// Runs a job whenever there is a seat; nobody waits for it. Without a runtime it is run here: that is at the end of a test
    /// or of a process.
    pub(crate) fn later(&self, job: impl FnOnce() + Send + 'static) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let seats = Arc::clone(&self.small.free);
                drop(runtime.spawn(async move {
                    let seat = seats.acquire_owned().await.expect("the semaphore is never closed");
                    drop(tokio::task::spawn_blocking(move || {
                        let _seat = seat;
                        job();
                    }));
                }));
            }
            Err(_) => job(),
        }
    }
}

impl Seats {
    fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), waiting: Arc::default() }
    }

    async fn take(&self, deadline: Instant, most_waiting: usize) -> Result<OwnedSemaphorePermit, NoResult> {
        if let Ok(seat) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(seat);
        }
        let waiting = Waiting::enter(&self.waiting);
        if waiting.before >= most_waiting {
            return Err(NoResult::Busy);
        }
        let seat = tokio::time::timeout_at(deadline, Arc::clone(&self.free).acquire_owned()).await;
        let seat = seat.map_err(|_| NoResult::Late)?;
        Ok(seat.expect("the semaphore is never closed"))
    }
}

/// Counts one who waits.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_finds_no_room_is_turned_away_and_who_waits_gets_in() {
        let pool = Pool::new(1, 1);
        let (release, held) = channel::<()>();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(soon(), 1, move || held.recv().is_ok()).await }
        });
        let enters = async |wanted: usize| {
            while pool.small.free.available_permits() > 0 || pool.small.waiting.load(Ordering::Relaxed) < wanted {
                tokio::task::yield_now().await;
            }
        };
        enters(0).await;
        let second = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(soon(), 1, || 2).await }
        });
        enters(1).await;
        assert_eq!(pool.run(soon(), 1, || 3).await, Err(NoResult::Busy));
        release.send(()).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(true), Ok(2)));
        assert_eq!(pool.run(soon(), 1, || 4).await, Ok(4));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_deadline() {
        let pool = Pool::new(1, 1);
        let (release, held) = channel::<()>();
        let now = Instant::now();
        assert_eq!(pool.run(now, 1, move || held.recv().is_ok()).await, Err(NoResult::Late));
        // The seat is taken as long as the job runs.
        assert_eq!(pool.run(now, 1, || ()).await, Err(NoResult::Late));
        release.send(()).unwrap();
        assert_eq!(pool.run(soon(), 1, || 1).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn large_jobs_keep_only_large_ones_waiting() {
        let pool = Pool::new(2, 1);
        let (release, held) = channel::<()>();
        let large = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(soon(), LARGE, move || held.recv().is_ok()).await }
        });
        while pool.large.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(soon(), LARGE - 1, || 1).await, Ok(1));
        assert_eq!(pool.run(Instant::now(), LARGE, || 1).await, Err(NoResult::Late));
        release.send(()).unwrap();
        assert_eq!(large.await.unwrap(), Ok(true));
        assert_eq!(pool.run(soon(), LARGE, || 1).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_looks_on_keeps_nobody_waiting_and_gives_way_where_too_many_do() {
        let pool = Pool::new(1, 1);
        let ((release, held), (says, said)) = (channel::<()>(), channel());
        pool.beside(move |_| assert!(held.recv().is_ok()));
        while pool.beside.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let look = |says: &std::sync::mpsc::Sender<bool>| {
            let says = says.clone();
            pool.beside(move |has_seat| says.send(has_seat).unwrap());
        };
        look(&says);
        while pool.beside.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        look(&says);
        assert!(!said.recv().unwrap());
        assert_eq!(pool.run(soon(), 1, || 1).await, Ok(1));
        release.send(()).unwrap();
        assert!(said.recv().unwrap());
    }

    #[tokio::test]
    async fn a_panic_is_the_job_s_alone() {
        let pool = Pool::new(1, 1);
        let panics = || -> u8 { std::panic::panic_any("on purpose") };
        assert_eq!(pool.run(soon(), 1, panics).await, Err(NoResult::Panicked));
        assert_eq!(pool.run(soon(), 1, || 1).await, Ok(1));
    }
}
