//! One Redis and the task that keeps the way to it open.
//!
//! ```text
//! connect ─▶ load the script ─▶ ready ─ trouble ─▶ down (the breaker is open) ─ pause ─▶ connect …
//! ```
//!
//! Trouble is a broken connection, an answer that says this is no master, or some deadlines missed in a row. Pauses grow
//! and are never the same for two services, so that a Redis that comes back is not met by all of them at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use kit::Kit;
use kit::health::Gate;
use kit::redis::{Connection, connect};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Notify;

use super::Failure;
use super::script::{self, Call};
use crate::clock;
use crate::metrics::Metrics;
use crate::settings::redis::{RedisSettings, Server};

/// The first pause before trying again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long Redis may take to answer while it is being connected to.
const HELLO: Duration = Duration::from_secs(2);

/// One Redis.
pub(super) struct Link {
    name: &'static str,
    server: Server,
    connections: ArcSwapOption<Vec<Connection>>,
    next: AtomicUsize,
    failures: AtomicU32,
    most_failures: u32,
    trouble: Notify,
    gate: Gate,
    closes_gate: bool,
    was_up: AtomicBool,
    metrics: Arc<Metrics>,
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
    ) -> Arc<Self> {
        let link = Arc::new(Self {
            name,
            server,
            connections: ArcSwapOption::empty(),
            next: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
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

    /// Calls the script, which is put into the server's cache when it is not there (after a restart or SCRIPT FLUSH).
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Value, Failure> {
        match self.send(&call.by_hash()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&call.by_code()).await.map_err(|error| self.judge(&error))
            }
            Err(error) => Err(self.judge(&error)),
            Ok(value) => {
                if self.failures.load(Ordering::Relaxed) > 0 {
                    self.failures.store(0, Ordering::Relaxed);
                }
                Ok(value)
            }
        }
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = {
            let connections = self.connections.load();
            let connections = connections.as_ref().ok_or((ErrorKind::Client, "no connection"))?;
            let index = self.next.fetch_add(1, Ordering::Relaxed) % connections.len();
            connections[index].clone()
        };
        connection.send(command).await
    }

    /// A call took too long, or failed in a way that may pass.
    pub(super) fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= self.most_failures {
            self.give_up();
        }
    }

    /// Says that there is trouble; calls are not tried any more from now on.
    fn give_up(&self) {
        if self.connections.swap(None).is_some() {
            self.trouble.notify_one();
        }
    }

    fn judge(&self, error: &RedisError) -> Failure {
        match error.kind() {
            ErrorKind::Client => return Failure::Down,
            ErrorKind::Server(kind) => {
                // Another server is the master now, or this one is not up yet: whoever connects anew finds out.
                if matches!(
                    kind,
                    ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
                ) {
                    self.give_up();
                }
                tracing::debug!(redis = self.name, %error, "refused");
                return Failure::Refused;
            }
            _ => {}
        }
        if error.is_io_error() || error.is_connection_dropped() {
            self.give_up();
            return Failure::Connection;
        }
        self.failed();
        Failure::Refused
    }

    async fn keep(&self) {
        let mut pause = PAUSES.0;
        let mut reported = None;
        loop {
            match self.connect().await {
                Ok(connections) => {
                    (pause, reported) = (PAUSES.0, None);
                    self.up(connections);
                    self.trouble.notified().await;
                    self.down("does not answer");
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

    async fn connect(&self) -> RedisResult<Vec<Connection>> {
        let all = async {
            let mut connections = Vec::new();
            let count = if self.is_cluster() { 1 } else { self.server.connections };
            for _ in 0..count {
                let mut connection = connect(&self.server).await?;
                connection.send(&script::load()).await?;
                connections.push(connection);
            }
            Ok(connections)
        };
        let late = || Err((ErrorKind::Io, "no answer in time").into());
        tokio::time::timeout(HELLO, all).await.unwrap_or_else(|_| late())
    }

    fn up(&self, connections: Vec<Connection>) {
        tracing::info!(redis = self.name, "connected");
        self.failures.store(0, Ordering::Relaxed);
        self.connections.store(Some(Arc::new(connections)));
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
