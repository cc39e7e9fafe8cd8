//! One Redis and the task that keeps the way to it open.
//!
//! ```text
//! connect ─▶ ready ─ trouble ─▶ down (the breaker is open) ─ pause ─▶ connect …
//! ```
//!
//! Trouble is a broken connection, an answer that says this is no master, or some calls in a row that fail or are late.
//! Pauses grow until a connection was of use for a while, and are never the same for two services, so that a Redis that comes
//! back is not met by all of them at once.
//!
//! In a cluster one node may be in trouble while the others answer, and the client itself connects to nodes anew: there is
//! trouble only when calls fail in a row and none has succeeded for a while.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use prometheus::IntGauge;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Notify;

use super::connect::{Connection, connect};
use super::settings::Server;
use crate::health::Gate;
use crate::kit::Kit;

/// The first pause before trying again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long Redis may take to answer while it is being connected to.
const HELLO: Duration = Duration::from_secs(2);
/// How long a connection has to be of use before the pause after it is the first one again.
const STEADY: Duration = Duration::from_secs(5);
/// For how long no node of a cluster has answered when the cluster is left alone.
const SILENCE: Duration = Duration::from_secs(1);

/// Why Redis gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection, or the breaker is open.
    #[error("it is down")]
    Down,
    /// No answer in time.
    #[error("it did not answer in time")]
    Deadline,
    /// The connection broke.
    #[error("the connection broke")]
    Connection,
    /// Redis answered with an error.
    #[error("it refused")]
    Refused,
}

impl Failure {
    /// The reason as a label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Deadline => "deadline",
            Self::Connection => "connection",
            Self::Refused => "error",
        }
    }
}

/// How patient a link is.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long a call may take.
    pub deadline: Duration,
    /// After how many calls in a row that fail Redis is left alone until it can be connected to again.
    pub most_failures: u32,
    /// 1 while it is left alone.
    pub open: IntGauge,
}

/// One Redis.
pub struct Link {
    name: &'static str,
    server: Server,
    terms: Terms,
    /// None while Redis is left alone.
    live: ArcSwapOption<Live>,
    trouble: Notify,
    gate: Gate,
    was_up: AtomicBool,
}

struct Live {
    connection: Connection,
    /// Calls in a row that failed.
    failures: AtomicU32,
    since: Instant,
    /// When a call succeeded last, in milliseconds after the beginning.
    answered: AtomicU64,
}

impl Live {
    fn new(connection: Connection) -> Self {
        Self { connection, failures: AtomicU32::new(0), since: Instant::now(), answered: AtomicU64::new(0) }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.answered.store(self.age(), Ordering::Relaxed);
    }

    fn is_silent(&self) -> bool {
        Duration::from_millis(self.age().saturating_sub(self.answered.load(Ordering::Relaxed))) >= SILENCE
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Link {
    /// Starts the task that connects and keeps connected, and returns at once. The gate of this name opens when Redis has
    /// answered once.
    pub fn start(kit: &Kit, name: &'static str, server: Server, terms: Terms) -> Arc<Self> {
        let link = Arc::new(Self {
            name,
            server,
            terms,
            live: ArcSwapOption::empty(),
            trouble: Notify::new(),
            gate: kit.gates.gate(name),
            was_up: AtomicBool::new(false),
        });
        let (keeper, shutdown) = (Arc::clone(&link), kit.shutdown.clone());
        kit.tasks.spawn(name, async move {
            // Requests that are in flight while the process drains use the connection that there is.
            shutdown.unless_stopping(keeper.keep()).await;
            Ok::<(), std::convert::Infallible>(())
        });
        link
    }

    /// Sends a command and waits for its answer within the deadline.
    pub async fn call(&self, command: &Cmd) -> Result<Value, Failure> {
        let live = self.live.load_full().ok_or(Failure::Down)?;
        let mut connection = live.connection.clone();
        match tokio::time::timeout(self.terms.deadline, connection.send(command)).await {
            Ok(Ok(value)) => {
                live.succeeded();
                Ok(value)
            }
            Ok(Err(error)) => Err(self.judge(&live, &error)),
            Err(_) => {
                self.failed(&live);
                Err(Failure::Deadline)
            }
        }
    }

    fn failed(&self, live: &Arc<Live>) {
        let failures = live.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= self.terms.most_failures && (self.server.cluster.is_empty() || live.is_silent()) {
            self.give_up(live);
        }
    }

    /// Says that there is trouble; calls are not tried any more from now on. What was given up already stays so.
    fn give_up(&self, live: &Arc<Live>) {
        let before = self.live.compare_and_swap(live, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, live)) {
            self.trouble.notify_one();
        }
    }

    fn judge(&self, live: &Arc<Live>, error: &RedisError) -> Failure {
        let lost = error.is_io_error() || error.is_connection_dropped();
        let (unusable, failure) = match error.kind() {
            // Another server is the master now, or this one is not up yet: whoever connects anew finds out.
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading,
            ) => (true, Failure::Refused),
            _ if lost => (true, Failure::Connection),
            _ => (false, Failure::Refused),
        };
        tracing::debug!(redis = self.name, %error, "failed");
        if unusable && self.server.cluster.is_empty() {
            self.give_up(live);
        } else {
            self.failed(live);
        }
        failure
    }

    async fn keep(&self) {
        let mut pause = PAUSES.0;
        let mut reported = None;
        loop {
            let late = || Err((ErrorKind::Io, "no answer in time").into());
            let connected = tokio::time::timeout(HELLO, self.greeted()).await.unwrap_or_else(|_| late());
            match connected {
                Ok(connection) => {
                    reported = None;
                    let begun = Instant::now();
                    self.up(connection);
                    self.trouble.notified().await;
                    self.down("does not answer");
                    if begun.elapsed() >= STEADY {
                        pause = PAUSES.0;
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    self.down(&error);
                    if reported.as_ref() != Some(&error) {
                        tracing::warn!(redis = self.name, "cannot connect, trying again: {error}");
                        reported = Some(error);
                    }
                }
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn greeted(&self) -> redis::RedisResult<Connection> {
        let mut connection = connect(&self.server).await?;
        connection.send(&redis::cmd("PING")).await?;
        Ok(connection)
    }

    fn up(&self, connection: Connection) {
        tracing::info!(redis = self.name, "connected");
        self.live.store(Some(Arc::new(Live::new(connection))));
        self.terms.open.set(0);
        self.was_up.store(true, Ordering::Relaxed);
        self.gate.open();
    }

    /// A Redis that was up once leaves the service ready: what it can do without is its own affair.
    fn down(&self, why: &str) {
        self.terms.open.set(1);
        if !self.was_up.load(Ordering::Relaxed) {
            self.gate.close(why);
        }
    }
}

/// Between half of a pause and all of it.
fn jittered(pause: Duration) -> Duration {
    // The keys of a hasher are random: all the randomness that is needed here.
    let random = RandomState::new().hash_one(0) % 1000;
    pause / 2 + pause * u32::try_from(random).expect("less than 1000") / 2000
}
