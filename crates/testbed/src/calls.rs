//! Calls at a pace or as fast as they are answered, and how long each took.

mod unary;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::times::Times;

pub use unary::Unary;

/// One connection to what is measured.
pub trait Caller: Send + 'static {
    /// What is asked.
    type Call: Send;

    /// The next call, which is made before the clock runs.
    fn next(&mut self) -> Self::Call;

    /// Calls, and looks at the answer.
    fn call(&mut self, call: Self::Call) -> impl Future<Output = Result<()>> + Send;
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many callers there are.
    pub connections: u32,
    /// For how long.
    pub time: Duration,
    /// Calls a second of all connections together; as many as are answered when absent.
    pub pace: Option<f64>,
}

/// How long each call took, and how long all of them.
#[derive(Debug, Default)]
pub struct Taken {
    times: Vec<Duration>,
    whole: Duration,
}

impl Load {
    /// Calls for a moment, so that connections and memory are there.
    pub async fn warm<C: Caller>(self, connect: impl Fn(u32) -> Result<C>) -> Result<()> {
        Self { time: Duration::from_millis(500), pace: None, ..self }.run(connect).await.map(drop)
    }

    /// Calls for the time that was set. Callers have numbers from 0 on.
    pub async fn run<C: Caller>(self, connect: impl Fn(u32) -> Result<C>) -> Result<Taken> {
        let begun = Instant::now();
        let callers = (0..self.connections).map(|number| Ok(tokio::spawn(self.calls(number, connect(number)?))));
        let callers: Vec<_> = callers.collect::<Result<_>>()?;
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.await??);
        }
        ensure!(!times.is_empty(), "no call was answered");
        Ok(Taken { times, whole: begun.elapsed() })
    }

    async fn calls(self, number: u32, mut caller: impl Caller) -> Result<Vec<Duration>> {
        let pause = self.pace.map(|pace| Duration::from_secs_f64(f64::from(self.connections) / pace));
        // Connects.
        let first = caller.next();
        caller.call(first).await?;
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < self.time {
            let call = caller.next();
            let mut sent = Instant::now();
            if let Some(pause) = pause {
                let due = begun + pause * u32::try_from(times.len())? + pause * number / self.connections;
                // Where an answer is late, the calls that wait for it are late too, and that is part of what is measured;
                // that the timer wakes us up to a millisecond late is not.
                if sent < due {
                    tokio::time::sleep_until(due.into()).await;
                    sent = Instant::now();
                } else {
                    sent = due;
                }
            }
            caller.call(call).await?;
            times.push(sent.elapsed());
        }
        Ok(times)
    }
}

/// Whether a case is wanted: all words that the benchmark is called with are in its name.
pub fn is_wanted(case: &str) -> bool {
    std::env::args().skip(1).filter(|word| !word.starts_with("--")).all(|word| case.contains(&word))
}

impl Taken {
    /// How many calls were answered.
    pub fn count(&self) -> f64 {
        f64::from(u32::try_from(self.times.len()).unwrap_or(u32::MAX))
    }

    /// Adds what was taken at another time.
    pub fn merge(&mut self, other: Self) {
        self.times.extend(other.times);
        self.whole += other.whole;
    }

    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.count() / self.whole.as_secs_f64()
    }

    /// How long they took.
    pub fn times(&self) -> Times {
        Times::new(self.times.clone())
    }
}
