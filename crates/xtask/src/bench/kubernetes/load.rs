//! Requests at fixed times, whatever becomes of those before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use testbed::client::{Connection, Request};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::manifests;

/// Connections that take turns.
const CONNECTIONS: u32 = 8;
/// A request that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(5);

/// What became of the requests.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) times: Vec<Duration>,
    pub(super) failed: u32,
}

impl Seen {
    /// Puts together what became of two lots.
    pub(super) fn add(&mut self, more: Self) {
        self.times.extend(more.times);
        self.failed += more.failed;
    }
}

/// Requests that are being sent.
#[derive(Debug)]
pub(super) struct Load {
    tasks: JoinSet<Seen>,
    over: Arc<AtomicBool>,
}

impl Load {
    /// Sends so many requests a second to a route from now on.
    pub(super) fn start(gateway: SocketAddr, route: &str, path: &str, a_second: u32) -> Self {
        let url = format!("http://{}{path}", manifests::host(route));
        let request = Request::get(&url).to(gateway).deadline(DEADLINE);
        let (mut tasks, over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let step = Duration::from_secs(1) / a_second;
        for number in 0..CONNECTIONS {
            let first = Instant::now() + step * number;
            tasks.spawn(send(request.clone(), first, step * CONNECTIONS, Arc::clone(&over)));
        }
        Self { tasks, over }
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<Seen> {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        while let Some(seen) = self.tasks.join_next().await {
            all.add(seen?);
        }
        Ok(all)
    }
}

/// A request's time counts from when it was due: one that waits for the one before it has waited, too.
async fn send(request: Request, first: Instant, every: Duration, over: Arc<AtomicBool>) -> Seen {
    let mut due = interval_at(first, every);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut seen = Seen::default();
    let mut connection = None;
    while !over.load(Ordering::Relaxed) {
        let due = due.tick().await;
        match ask(&request, &mut connection).await {
            Ok(true) => seen.times.push(due.elapsed()),
            _ => seen.failed += 1,
        }
    }
    seen
}

/// One request. A connection is kept unless the answer says that it is not.
async fn ask(request: &Request, kept: &mut Option<Connection>) -> Result<bool> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(request).await?,
    };
    let answer = connection.send(request).await?;
    if answer.header("connection") != Some("close") {
        *kept = Some(connection);
    }
    Ok(answer.status == 200)
}
