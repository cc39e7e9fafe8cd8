//! Backends that say what they saw: HTTP/1.1, h2c, HTTPS, gRPC and WebSocket on one socket, or lines over TCP, or datagrams over
//! UDP.
//!
//! The HTTP answer is JSON in the shape of the Gateway API's own echo server ([`Echoed`]), so a test can see where a request
//! arrived (`pod`) and what had become of it. A request may ask for more:
//!
//! | ask | effect |
//! |---|---|
//! | `?status=503`, path `/status/503` | answers that status |
//! | `?delay=300ms`, `?delay=2s` | answers that much later |
//! | `?fail=2` | 503 for the first two requests with this very path and query, then 200 |
//! | header `x-echo-set-header: A:1, B:2` | adds these headers to the answer |
//! | header `x-echo-grpc-status: 5` | ends a gRPC call with that status instead of 0 |
//! | `Upgrade: websocket` | every text comes back |
//! | content type `application/grpc` | a unary answer whose message is the JSON |
//!
//! Over TCP every line comes back, over UDP every datagram; a backend with a name puts the name and a space before it
//! (and before the texts of a WebSocket).

mod behaviour;
mod connections;
mod echoed;
mod http;
mod lines;
mod spec;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use std::sync::Mutex;

use tokio::task::JoinHandle;

pub use echoed::{Echoed, EchoedTls};
pub use spec::Spec;

use crate::client::Target;

/// How many of the last requests are kept for [`Echo::requests`]; the count goes on beyond.
const KEPT: usize = 1_000;

/// A running backend. Dropping it closes its socket and breaks its connections.
#[derive(Debug)]
pub struct Echo {
    target: Target,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What the connections of one backend share.
#[derive(Debug, Default)]
struct State {
    pod: String,
    namespace: String,
    service: String,
    count: AtomicU64,
    log: Mutex<VecDeque<Echoed>>,
    failures: Mutex<HashMap<String, u32>>,
    /// Answered instead of 200 while it is set.
    status: Mutex<Option<u16>>,
    /// Waited before every answer.
    delay: Mutex<Duration>,
}

impl Echo {
    /// A backend for HTTP, gRPC and WebSocket.
    pub fn http() -> Spec {
        Spec::new(spec::Kind::Http)
    }

    /// A backend for lines over TCP (or TLS).
    pub fn tcp() -> Spec {
        Spec::new(spec::Kind::Tcp)
    }

    /// A backend for datagrams.
    pub fn udp() -> Spec {
        Spec::new(spec::Kind::Udp)
    }

    /// The bound address.
    ///
    /// # Panics
    ///
    /// On a Unix socket, which has none.
    pub fn address(&self) -> SocketAddr {
        match &self.target {
            Target::Address(address) => *address,
            Target::Unix(path) => panic!("the backend listens on {}", path.display()),
        }
    }

    /// The bound port.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Where clients reach it.
    pub fn target(&self) -> Target {
        self.target.clone()
    }

    /// How many requests (lines, datagrams, WebSockets) have arrived.
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::Relaxed)
    }

    /// What arrived by HTTP, oldest first, the last 1,000.
    pub fn requests(&self) -> Vec<Echoed> {
        self.state.log.lock().expect("no panic while held").iter().cloned().collect()
    }

    /// Forgets what has arrived.
    pub fn clear(&self) {
        self.state.count.store(0, Ordering::Relaxed);
        self.state.log.lock().expect("no panic while held").clear();
    }

    /// Answers every HTTP request with this status from now on; `None` for the usual 200.
    pub fn answer_with(&self, status: Option<u16>) {
        *self.state.status.lock().expect("no panic while held") = status;
    }

    /// Waits this long before every HTTP answer from now on.
    pub fn slow_down(&self, delay: Duration) {
        *self.state.delay.lock().expect("no panic while held") = delay;
    }

    /// Closes the socket and all connections, and waits until that is done.
    pub async fn stop(mut self) {
        self.task.abort();
        // Its result is "cancelled", which is what was asked for.
        let _ = (&mut self.task).await;
    }

    /// Waits until the backend ends, which it does only on an error.
    pub async fn wait(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn count_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&self, seen: Echoed) {
        let mut log = self.log.lock().expect("no panic while held");
        if log.len() == KEPT {
            log.pop_front();
        }
        log.push_back(seen);
    }

    /// A line, datagram or WebSocket text as it goes back.
    fn reply(&self, text: &str) -> String {
        if self.pod.is_empty() { text.to_owned() } else { format!("{} {text}", self.pod) }
    }
}
