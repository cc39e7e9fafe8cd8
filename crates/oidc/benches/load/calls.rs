//! Checks at a pace or as fast as they are answered, and how long each took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use envoy::service::auth::authorization_client::AuthorizationClient;
use envoy::service::auth::check_response::HttpResponse;
use kit::net::Address;

use crate::service::check;

/// What is asked of a service.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) time: Duration,
    /// Checks a second of all connections together; as many as are answered when absent.
    pub(crate) pace: Option<u32>,
    /// The header by which each person is known.
    pub(crate) people: Arc<Vec<(String, String)>>,
}

/// How long each check took, and how long all of them.
pub(crate) struct Taken {
    times: Vec<Duration>,
    whole: Duration,
}

impl Taken {
    pub(crate) fn count(&self) -> f64 {
        f64::from(u32::try_from(self.times.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.whole.as_secs_f64()
    }

    /// The time that this share of all (in percent) does not exceed, in ms.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the index of a list that exists")]
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let index = ((self.count() - 1.0) * share).ceil() as usize;
        self.times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl Load {
    /// Checks for a moment, so that connections and memory are there.
    pub(crate) async fn warm(&self, address: &Address) -> Result<()> {
        Self { time: Duration::from_millis(500), pace: None, ..self.clone() }.run(address).await.map(drop)
    }

    /// Checks for the time that was set.
    pub(crate) async fn run(&self, address: &Address) -> Result<Taken> {
        let begun = Instant::now();
        let callers = (0..self.connections).map(|number| tokio::spawn(self.clone().caller(address.clone(), number)));
        let callers: Vec<_> = callers.collect();
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.await??);
        }
        let whole = begun.elapsed();
        ensure!(!times.is_empty(), "no check was answered");
        times.sort_unstable();
        Ok(Taken { times, whole })
    }

    async fn caller(self, address: Address, number: u32) -> Result<Vec<Duration>> {
        let channel = kit::grpc::channel(&address, None).map_err(|error| anyhow::anyhow!(error))?;
        let mut client = AuthorizationClient::new(channel);
        let pause = self.pace.map(|pace| Duration::from_secs(1) * self.connections / pace);
        let begun = Instant::now();
        let (mut times, mut person) = (Vec::new(), usize::try_from(number)?);
        while begun.elapsed() < self.time {
            person = (person + 1) % self.people.len();
            let (name, value) = &self.people[person];
            let request = check("/shop/cart?item=1", name, value);
            let mut sent = Instant::now();
            if let Some(pause) = pause {
                let due = begun + pause * u32::try_from(times.len())? + pause * number / self.connections;
                // Where an answer is late, those that wait for it are late too, and that is part of what is measured; that the
                // timer wakes us up to a millisecond late is not.
                if sent < due {
                    tokio::time::sleep_until(due.into()).await;
                    sent = Instant::now();
                } else {
                    sent = due;
                }
            }
            let answer = client.check(request).await?.into_inner();
            times.push(sent.elapsed());
            ensure!(
                matches!(answer.http_response, Some(HttpResponse::OkResponse(_))),
                "a check did not pass: {answer:?}"
            );
        }
        Ok(times)
    }
}
