//! Requests at a steady pace while something happens, and what became of each of them.
//!
//! Half of the clients keep their connections, half open one for each request: the two are harmed by different things.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::PATIENCE;
use crate::client::{Connection, Request};
use crate::wait::wait_until;

/// How many clients there are; together they ask 200 times a second.
const CLIENTS: usize = 8;
/// The time between two requests of one client.
const PACE: Duration = Duration::from_millis(40);
/// How many failures are told in words.
const TOLD: usize = 10;

/// A load that goes on until it is stopped, or dropped.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<Outcome>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many were sent.
    pub asked: usize,
    /// Those that were not answered with 200, each with the time since the start.
    pub failed: Vec<(Duration, String)>,
    /// The longest time that an answer took.
    pub slowest: Duration,
}

impl Load {
    /// Begins to send the request, again and again.
    pub fn start(request: &Request) -> Self {
        let (stop, start) = (watch::Sender::new(false), Instant::now());
        let answered = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = Client { request: request.clone(), keeps: number % 2 == 0, connection: None };
            clients.spawn(client.run(start, stop.subscribe(), Arc::clone(&answered)));
        }
        Self { stop, answered, clients }
    }

    /// Waits until so many more requests are answered with 200.
    pub async fn goes_on(&self, more: usize) -> Result<()> {
        let until = self.answered.load(Ordering::Relaxed) + more;
        let goes_on = async || self.answered.load(Ordering::Relaxed) >= until;
        wait_until(&format!("{more} further answers"), PATIENCE, goes_on).await
    }

    /// Ends it, and says what became of the requests.
    pub async fn stop(mut self) -> Result<Outcome> {
        self.stop.send_replace(true);
        let mut all = Outcome::default();
        while let Some(one) = self.clients.join_next().await {
            let one = one?;
            all.asked += one.asked;
            all.failed.extend(one.failed);
            all.slowest = all.slowest.max(one.slowest);
        }
        all.failed.sort();
        Ok(all)
    }

    /// Ends it; an error if a request failed.
    pub async fn stop_unharmed(self) -> Result<Outcome> {
        let outcome = self.stop().await?;
        ensure!(outcome.asked > 0 && outcome.failed.is_empty(), "{outcome}");
        Ok(outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} failed, the slowest took {:?}", self.asked, self.failed.len(), self.slowest)?;
        for (at, failure) in self.failed.iter().take(TOLD) {
            write!(f, "\n  after {:.3} s {failure}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

struct Client {
    request: Request,
    keeps: bool,
    connection: Option<Connection>,
}

impl Client {
    async fn run(mut self, start: Instant, stop: watch::Receiver<bool>, answered: Arc<AtomicUsize>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut turns = tokio::time::interval(PACE);
        // A client that was held up does not make up for it.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Each asks at least once.
        loop {
            turns.tick().await;
            let (at, began) = (start.elapsed(), Instant::now());
            outcome.asked += 1;
            match self.ask().await {
                Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    let kept = if self.keeps { "on a kept connection" } else { "on a new connection" };
                    outcome.failed.push((at, format!("{kept}: {error:#}")));
                    self.connection = None;
                }
            }
            outcome.slowest = outcome.slowest.max(began.elapsed());
            if *stop.borrow() {
                return outcome;
            }
        }
    }

    async fn ask(&mut self) -> Result<()> {
        // Whoever closes a connection on which nothing is asked harms nobody.
        let mut connection = match self.connection.take().filter(|kept| !kept.is_closed()) {
            Some(kept) => kept,
            None => tokio::time::timeout(PATIENCE, Connection::open(&self.request)).await??,
        };
        let answer = connection.send(&self.request).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        self.connection = self.keeps.then_some(connection);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;

    #[tokio::test]
    async fn every_request_is_counted() {
        let echo = Echo::http().spawn().await.unwrap();
        let load = Load::start(&Request::get("http://load.example/").to(echo.address()));
        load.goes_on(50).await.unwrap();
        let outcome = load.stop_unharmed().await.unwrap();
        assert!(outcome.asked >= 50 && usize::try_from(echo.count()).unwrap() >= outcome.asked, "{outcome}");
    }

    #[tokio::test]
    async fn those_that_fail_are_told() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let outcome = Load::start(&Request::get("http://load.example/").to(nobody)).stop().await.unwrap();
        assert!(outcome.asked >= CLIENTS && outcome.failed.len() == outcome.asked, "{outcome}");
        assert!(outcome.to_string().contains("s on a kept connection: cannot connect to 127.0.0.1"), "{outcome}");
        let load = Load::start(&Request::get("http://load.example/").to(nobody));
        assert!(load.stop_unharmed().await.unwrap_err().to_string().contains("the slowest took"));
    }
}
