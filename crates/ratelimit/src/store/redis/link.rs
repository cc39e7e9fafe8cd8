//! One Redis and the task that keeps the way to it open.
//!
//! ```text
//! connect ─▶ load the scripts ─▶ ready ─ trouble ─▶ down (the breaker is open) ─ pause ─▶ connect …
//! ```
//!
//! Trouble is a broken connection, an answer that says this is no master, or some calls in a row that fail or are late.
//! Pauses grow until a connection was of use for a while, and are never the same for two services, so that a Redis that
//! comes back is not met by all of them at once. What a call on connections that were given up learns late says nothing
//! about those that took their place.
//!
//! In a cluster one node may be in trouble while the others answer, and the client itself connects to nodes anew: there is
//! trouble only when calls fail in a row and none has succeeded for a while.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use kit::Kit;
use kit::health::Gate;
use kit::lanes::Lanes;
use kit::redis::{Connection, connect};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::Failure;
use super::script::{self, Scripted};
use crate::clock;
use crate::limit::Millis;
use crate::metrics::Metrics;
use crate::settings::redis::{RedisSettings, Server};

/// The first pause before trying again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long Redis may take to answer while it is being connected to.
const HELLO: Duration = Duration::from_secs(2);
/// How long a connection has to be of use before the pause after it is the first one again.
const STEADY: Duration = Duration::from_secs(5);
/// For how long no node of a cluster has answered when the cluster is left alone.
const SILENCE: Millis = 1000;

/// One Redis.
pub(super) struct Link {
    name: &'static str,
    server: Server,
    /// Where connections are; in the runtime that connects when absent.
    lanes: Option<Lanes>,
    /// None while Redis is left alone.
    live: ArcSwapOption<Live>,
    most_failures: u32,
    trouble: Notify,
    gate: Gate,
    closes_gate: bool,
    was_up: AtomicBool,
    metrics: Arc<Metrics>,
}

/// Connections that were made together, and are given up together.
struct Live {
    /// By lane: calls of a lane never leave it.
    connections: Vec<Vec<Connection>>,
    next: AtomicUsize,
    /// Calls in a row that failed.
    failures: AtomicU32,
    /// When a call succeeded last; only for clusters.
    answered: AtomicU64,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Link {
    /// Starts the task that connects and keeps connected.
    pub(super) fn start(
        kit: &Kit,
        name: &'static str,
        server: Server,
        settings: &RedisSettings,
        metrics: &Arc<Metrics>,
        lanes: Option<&Lanes>,
    ) -> Arc<Self> {
        let link = Arc::new(Self {
            name,
            server,
            lanes: lanes.cloned(),
            live: ArcSwapOption::empty(),
            most_failures: settings.breaker_failures,
            trouble: Notify::new(),
            gate: kit.gates.gate(name),
            closes_gate: settings.ready_only_with_redis,
            was_up: AtomicBool::new(false),
            metrics: Arc::clone(metrics),
        });
        let (keeper, shutdown) = (Arc::clone(&link), kit.shutdown.clone());
        kit.tasks.spawn(name, async move {
            // Requests that are in flight while the process drains use the connections that there are.
            shutdown.unless_stopping(keeper.keep()).await;
            Ok::<(), std::convert::Infallible>(())
        });
        link
    }

    pub(super) fn is_cluster(&self) -> bool {
        !self.server.cluster.is_empty()
    }

    /// Calls a script, and waits for the answer no longer than that.
    pub(super) async fn call(&self, call: &impl Scripted, until: Instant) -> Result<Value, Failure> {
        let live = self.live.load_full().ok_or(Failure::Down)?;
        self.judged(&live, timeout_at(until, live.call(call)).await)
    }

    /// Sends commands, and waits for all answers no longer than that.
    pub(super) async fn send(&self, commands: &Pipeline, until: Instant) -> Result<Vec<Value>, Failure> {
        let live = self.live.load_full().ok_or(Failure::Down)?;
        self.judged(&live, timeout_at(until, live.connection().send_all(commands)).await)
    }

    fn judged<T>(&self, live: &Arc<Live>, answer: Result<RedisResult<T>, Elapsed>) -> Result<T, Failure> {
        match answer {
            Ok(Ok(value)) => {
                live.succeeded(self.is_cluster());
                Ok(value)
            }
            Ok(Err(error)) => Err(self.judge(live, &error)),
            Err(_) => {
                self.failed(live);
                Err(Failure::Deadline)
            }
        }
    }

    /// A call took too long, or failed.
    fn failed(&self, live: &Arc<Live>) {
        let failures = live.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let silent = || clock::now().saturating_sub(live.answered.load(Ordering::Relaxed)) >= SILENCE;
        if failures >= self.most_failures && (!self.is_cluster() || silent()) {
            self.give_up(live);
        }
    }

    /// Says that there is trouble; calls are not tried any more from now on.
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
        if unusable && !self.is_cluster() {
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
            match self.connect().await {
                Ok(connections) => {
                    reported = None;
                    self.up(connections);
                    let begun = Instant::now();
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
            tokio::time::sleep(clock::jittered(pause)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn connect(&self) -> RedisResult<Vec<Vec<Connection>>> {
        let Some(lanes) = &self.lanes else { return Ok(vec![connect_all(&self.server).await?]) };
        let mut connecting = Vec::new();
        for runtime in lanes.runtimes() {
            let server = self.server.clone();
            connecting.push(runtime.spawn(async move { connect_all(&server).await }));
        }
        let mut connections = Vec::new();
        for lane in connecting {
            let lost = |_| Err((ErrorKind::Client, "the process ends").into());
            connections.push(lane.await.unwrap_or_else(lost)?);
        }
        Ok(connections)
    }

    fn up(&self, connections: Vec<Vec<Connection>>) {
        tracing::info!(redis = self.name, "connected");
        self.live.store(Some(Arc::new(Live::new(connections))));
        self.metrics.breaker_open.with_label_values(&[self.name]).set(0);
        self.was_up.store(true, Ordering::Relaxed);
        self.gate.open();
    }

    fn down(&self, why: &str) {
        self.metrics.breaker_open.with_label_values(&[self.name]).set(1);
        if self.closes_gate || !self.was_up.load(Ordering::Relaxed) {
            self.gate.close(why);
        }
    }
}

/// The connections of one lane.
async fn connect_all(server: &Server) -> RedisResult<Vec<Connection>> {
    let all = async {
        if !server.cluster.is_empty() {
            // Each node gets a script with the first call that needs it there; one that is down keeps no other waiting.
            return Ok(vec![connect(server).await?]);
        }
        let mut connections = Vec::new();
        for _ in 0..server.connections {
            let mut connection = connect(server).await?;
            for load in script::loads() {
                connection.send(&load).await?;
            }
            connections.push(connection);
        }
        Ok(connections)
    };
    let late = || Err((ErrorKind::Io, "no answer in time").into());
    tokio::time::timeout(HELLO, all).await.unwrap_or_else(|_| late())
}

impl Live {
    fn new(connections: Vec<Vec<Connection>>) -> Self {
        let (next, failures) = (AtomicUsize::new(0), AtomicU32::new(0));
        Self { connections, next, failures, answered: AtomicU64::new(clock::now()) }
    }

    /// A script is put into the server's cache when it is not there (after a restart or SCRIPT FLUSH).
    async fn call(&self, call: &impl Scripted) -> RedisResult<Value> {
        match self.send(&call.by_hash()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call.by_code()).await
            }
            answer => answer,
        }
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        self.connection().send(command).await
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

    fn succeeded(&self, is_cluster: bool) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if is_cluster {
            self.answered.store(clock::now(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use kit::testing::{eventually, kit};
    use testbed::redis::Spec;

    use super::*;

    #[tokio::test]
    async fn what_old_connections_learn_late_is_not_held_against_new_ones() {
        let (server, kit) = (Spec::new().start().await.unwrap(), kit());
        let address = Some(server.address().to_string().parse().unwrap());
        let settings = RedisSettings { breaker_failures: 1, ..RedisSettings::default() };
        let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
        let link = Link::start(&kit, "redis", Server { address, ..Server::default() }, &settings, &metrics, None);
        let old = eventually("a connection", async || link.live.load_full()).await;
        link.give_up(&old);
        let new = eventually("another connection", async || link.live.load_full()).await;
        link.failed(&old);
        link.judge(&old, &RedisError::from((ErrorKind::Io, "broken pipe")));
        assert!(link.live.load_full().is_some_and(|live| Arc::ptr_eq(&live, &new)));
        link.failed(&new);
        assert!(link.live.load().is_none());
        kit.shutdown.force();
    }
}
