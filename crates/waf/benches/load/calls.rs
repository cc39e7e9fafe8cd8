//! Requests at a pace or as fast as they are answered, and how long each took.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use testbed::client::{Connection, Request};
use testbed::times::Times;

/// What is asked of a contender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) until: Until,
    /// Requests a second of all connections together; as many as are answered when absent.
    pub(crate) pace: Option<f64>,
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    /// So many requests of each connection.
    Count(u32),
}

/// How long each request took, and how long all of them.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    times: Vec<Duration>,
    whole: Duration,
}

impl Taken {
    pub(crate) fn count(&self) -> f64 {
        f64::from(u32::try_from(self.times.len()).unwrap_or(u32::MAX))
    }

    /// Adds what was taken at another time.
    pub(crate) fn merge(&mut self, other: Self) {
        self.times.extend(other.times);
        self.whole += other.whole;
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.whole.as_secs_f64()
    }

    pub(crate) fn times(&self) -> Times {
        Times::new(self.times.clone())
    }
}

impl Load {
    /// Sends the request again and again; every answer has to be 200.
    pub(crate) async fn run(self, request: &Request) -> Result<Taken> {
        let begun = Instant::now();
        let times = try_join_all((0..self.connections).map(|number| self.caller(request, number))).await?;
        Ok(Taken { times: times.concat(), whole: begun.elapsed() })
    }

    async fn caller(self, request: &Request, number: u32) -> Result<Vec<Duration>> {
        let pause = self.pace.map(|pace| Duration::from_secs_f64(f64::from(self.connections) / pace));
        let mut connection = Connection::open(request).await?;
        let begun = Instant::now();
        let (mut times, mut count) = (Vec::new(), 0);
        while match self.until {
            Until::Time(time) => begun.elapsed() < time,
            Until::Count(most) => count < most,
        } {
            let mut sent = Instant::now();
            if let Some(pause) = pause {
                let due = begun + pause * count + pause * number / self.connections;
                // Where an answer is late, the requests that wait for it are late too, and that is part of what is measured;
                // that the timer wakes us up to a millisecond late is not.
                if sent < due {
                    tokio::time::sleep_until(due.into()).await;
                    sent = Instant::now();
                } else {
                    sent = due;
                }
            }
            let answer = connection.send(request).await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
            times.push(sent.elapsed());
            count += 1;
        }
        Ok(times)
    }
}
