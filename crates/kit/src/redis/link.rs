//! One Redis and the task that keeps the way to it open.
//!
//! ```text
//! connect ─▶ greet ─▶ ready ─ trouble ─▶ down (the breaker is open) ─ pause ─▶ connect …
//! ```
//!
//! Trouble is a broken connection, an answer that says this is no master, or some calls in a row that fail or are late.
//! Pauses grow until a connection was of use for a while, and are never the same for two services, so that a Redis that comes
//! back is not met by all of them at once. What a call on connections that were given up learns late says nothing about those
//! that took their place.
//!
//! In a cluster one node may be in trouble while the others answer, and the client itself connects to nodes anew: there is
//! trouble only when calls fail in a row and none has succeeded for a while.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus::IntGauge;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::connect::{Connection, connect};
use super::settings::Server;
use crate::deadline::timeout_at;
use crate::health::Gate;
use crate::kit::Kit;
use crate::lanes::Lanes;
use crate::pauses::Pauses;

/// The first pause before trying again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long Redis may take to answer while it is being connected to; a cluster with nodes that keep silent, too.
const HELLO: Duration = Duration::from_secs(2);
/// How often connections get a sign of life: servers, and what is between, close those of which they hear nothing for long.
const PING: Duration = Duration::from_secs(15);
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

/// How a link connects, and how patient it is.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What each new connection is sent before it is of use. Not to clusters: one node that is down would keep all others
    /// waiting.
    pub greeting: Vec<Cmd>,
    /// Where connections are, each lane's own; in the runtime that connects when absent.
    pub lanes: Option<Lanes>,
    /// After how many calls in a row that fail Redis is left alone until it can be connected to again.
    pub most_failures: u32,
    /// 1 while it is left alone.
    pub open: IntGauge,
    /// Whether the service is not ready while Redis is left alone. Otherwise only until it has answered once: what the service
    /// can do without is its own affair.
    pub closes_gate: bool,
}

/// One Redis.
pub struct Link {
    name: &'static str,
    server: Server,
    terms: Terms,
    /// None while Redis is left alone.
    live: ArcSwapOption<Live>,
    trouble: Notify,
    /// Between two signs of life.
    pings: Duration,
    gate: Gate,
    was_up: AtomicBool,
}

/// Connections that were made together, and are given up together.
struct Live {
    /// By lane: calls of a lane never leave it.
    connections: Vec<Vec<Connection>>,
    next: AtomicUsize,
    /// Calls in a row that failed.
    failures: AtomicU32,
    since: Instant,
    /// When a call succeeded last, in milliseconds after the beginning; only for clusters.
    answered: AtomicU64,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Link {
    /// Starts the task that connects and keeps connected, and returns at once. The gate of this name opens when Redis can be
    /// asked.
    pub fn start(kit: &Kit, name: &'static str, server: Server, terms: Terms) -> Arc<Self> {
        Self::start_pinging(kit, name, server, terms, PING)
    }

    fn start_pinging(kit: &Kit, name: &'static str, server: Server, terms: Terms, pings: Duration) -> Arc<Self> {
        let link = Arc::new(Self {
            name,
            server,
            terms,
            live: ArcSwapOption::empty(),
            trouble: Notify::new(),
            pings,
            gate: kit.gates.gate(name),
            was_up: AtomicBool::new(false),
        });
        let (keeper, shutdown) = (Arc::clone(&link), kit.shutdown.clone());
        kit.tasks.spawn(name, async move {
            // Requests that are in flight while the process drains use the connections that there are.
            shutdown.unless_stopping(keeper.keep()).await;
            Ok::<(), std::convert::Infallible>(())
        });
        link
    }

    /// Whether this is a cluster.
    pub fn is_cluster(&self) -> bool {
        !self.server.cluster.is_empty()
    }

    /// Sends a command, and waits for the answer no longer than that.
    pub async fn call(&self, command: &Cmd, until: Instant) -> Result<Value, Failure> {
        self.ask(until, |mut connection| async move { connection.send(command).await }).await
    }

    /// Sends commands in one write, and waits for all answers no longer than that.
    pub async fn send_all(&self, commands: &Pipeline, until: Instant) -> Result<Vec<Value>, Failure> {
        self.ask(until, |mut connection| async move { connection.send_all(commands).await }).await
    }

    /// Does with a connection what takes more than one call, no longer than that.
    pub async fn ask<T, F>(&self, until: Instant, ask: impl FnOnce(Connection) -> F) -> Result<T, Failure>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let live = self.live.load_full().ok_or(Failure::Down)?;
        match timeout_at(until, ask(live.connection())).await {
            Ok(Ok(value)) => {
                live.succeeded(self.is_cluster());
                Ok(value)
            }
            Ok(Err(error)) => Err(self.judge(&live, &error)),
            Err(_) => {
                self.failed(&live);
                Err(Failure::Deadline)
            }
        }
    }

    /// A call took too long, or failed.
    fn failed(&self, live: &Arc<Live>) {
        let failures = live.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= self.terms.most_failures && (!self.is_cluster() || live.is_silent()) {
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
        let (unusable, failure) = match error.kind() {
            // Another server is the master now, or this one is not up yet: whoever connects anew finds out.
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading,
            ) => (true, Failure::Refused),
            _ if is_lost(error) => (true, Failure::Connection),
            _ => (false, Failure::Refused),
        };
        tracing::debug!(redis = self.name, %error, "failed");
        if unusable && !self.is_cluster() {
            self.give_up(live);
        } else {
            self.failed(live);
        }
        failure
    }

    async fn keep(self: &Arc<Self>) {
        let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
        let mut reported = None;
        loop {
            match self.connect().await {
                Ok(connections) => {
                    reported = None;
                    self.up(connections);
                    let begun = Instant::now();
                    tokio::select! {
                        () = self.trouble.notified() => {}
                        () = self.refresh() => {}
                    }
                    self.down("does not answer");
                    if begun.elapsed() >= STEADY {
                        pauses.restart();
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
            pauses.pause().await;
        }
    }

    /// Gives all connections a sign of life now and then. Those that nobody uses break unnoticed, and the first call on one would
    /// give up all: so where one is broken, others are made before these are let go. Not in a cluster: its client keeps connections of its own,
    /// and makes one anew that a call finds broken.
    async fn refresh(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(self.pings).await;
            let Some(live) = self.live.load_full() else { continue };
            if self.is_cluster() || live.answers().await {
                continue;
            }
            match self.connect().await {
                Ok(connections) => {
                    tracing::info!(redis = self.name, "a connection was lost, all are made anew");
                    // Not if there was trouble meanwhile.
                    self.live.compare_and_swap(&live, Some(Arc::new(Live::new(connections))));
                }
                // If it is needed, calls find out.
                Err(error) => tracing::debug!(redis = self.name, %error, "a connection was lost, cannot connect"),
            }
        }
    }

    async fn connect(self: &Arc<Self>) -> RedisResult<Vec<Vec<Connection>>> {
        let Some(lanes) = &self.terms.lanes else { return Ok(vec![Arc::clone(self).connect_lane().await?]) };
        let mut connecting = Vec::new();
        for runtime in lanes.runtimes() {
            connecting.push(runtime.spawn(Arc::clone(self).connect_lane()));
        }
        let mut connections = Vec::new();
        for lane in connecting {
            connections.push(lane.await.unwrap_or_else(|_| ends())?);
        }
        Ok(connections)
    }

    /// The connections of one lane, made all at once: on the way to each there may be somebody who keeps silent.
    async fn connect_lane(self: Arc<Self>) -> RedisResult<Vec<Connection>> {
        let mut connecting = JoinSet::new();
        // A cluster's is one to each node.
        for _ in 0..if self.is_cluster() { 1 } else { self.server.connections } {
            let link = Arc::clone(&self);
            connecting.spawn(async move {
                let late = || Err((ErrorKind::Io, "no answer in time").into());
                timeout(HELLO, link.connect_one()).await.unwrap_or_else(|_| late())
            });
        }
        let mut connections = Vec::new();
        while let Some(connection) = connecting.join_next().await {
            connections.push(connection.unwrap_or_else(|_| ends())?);
        }
        Ok(connections)
    }

    async fn connect_one(&self) -> RedisResult<Connection> {
        let mut connection = connect(&self.server).await?;
        if !self.is_cluster() {
            for command in &self.terms.greeting {
                connection.send(command).await?;
            }
        }
        Ok(connection)
    }

    fn up(&self, connections: Vec<Vec<Connection>>) {
        tracing::info!(redis = self.name, "connected");
        self.live.store(Some(Arc::new(Live::new(connections))));
        self.terms.open.set(0);
        self.was_up.store(true, Ordering::Relaxed);
        self.gate.open();
    }

    fn down(&self, why: &str) {
        self.terms.open.set(1);
        if self.terms.closes_gate || !self.was_up.load(Ordering::Relaxed) {
            self.gate.close(why);
        }
    }
}

/// Whether a connection is of no use any more.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped()
}

/// What whoever is connecting learns when its thread is gone.
fn ends<T>() -> RedisResult<T> {
    Err((ErrorKind::Client, "the process ends").into())
}

impl Live {
    fn new(connections: Vec<Vec<Connection>>) -> Self {
        Self {
            connections,
            next: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            since: Instant::now(),
            answered: AtomicU64::new(0),
        }
    }

    /// One of the lane's own.
    fn connection(&self) -> Connection {
        let connections = &self.connections[Lanes::current().unwrap_or_default() % self.connections.len()];
        let index = match connections.len() {
            1 => 0,
            more => self.next.fetch_add(1, Ordering::Relaxed) % more,
        };
        connections[index].clone()
    }

    /// Whether there is an answer on each, whatever it says: this user may not be allowed to ask.
    async fn answers(&self) -> bool {
        let ping = redis::cmd("PING");
        for connection in self.connections.iter().flatten() {
            let mut connection = connection.clone();
            // Each has its time: there may be many, and Redis far away.
            let answer = timeout(HELLO, connection.send(&ping)).await;
            if answer.is_err() || answer.is_ok_and(|answer| answer.is_err_and(|error| is_lost(&error))) {
                return false;
            }
        }
        true
    }

    fn age(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn succeeded(&self, is_cluster: bool) {
        // Read first: processors that only read do not take the line from one another.
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if is_cluster {
            self.answered.store(self.age(), Ordering::Relaxed);
        }
    }

    fn is_silent(&self) -> bool {
        Duration::from_millis(self.age().saturating_sub(self.answered.load(Ordering::Relaxed))) >= SILENCE
    }
}

#[cfg(test)]
mod tests;
