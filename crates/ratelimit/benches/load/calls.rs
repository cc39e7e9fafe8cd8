//! Calls at a pace or as fast as they are answered, and how long each took.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;
use envoy::service::ratelimit::RateLimitRequest;

use crate::services::Service;

/// Different values of each key, so that counters come and go.
const VALUES: u32 = 10_000;
/// Calls in flight while keys are filled in.
const FILLERS: u32 = 32;
/// Descriptors of a call that fills keys in.
const FILLED: u32 = 100;

/// What is asked of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) descriptors: usize,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Calls a second of all connections together; as many as are answered when absent.
    pub(crate) pace: Option<f64>,
}

/// How long each call took, the shortest first, and how long all of them.
#[derive(Default)]
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
        self.times.sort_unstable();
        self.whole += other.whole;
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.whole.as_secs_f64()
    }

    /// The time that this share of all (from 0 to 1) does not exceed, in ms.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the index of a list that exists")]
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let index = ((self.count() - 1.0) * share).ceil() as usize;
        self.times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl Load {
    /// Calls for a moment, so that connections, scripts and memory are there.
    pub(crate) async fn warm(self, service: &Service) -> Result<()> {
        Self { time: Duration::from_millis(500), pace: None, ..self }.run(service).await.map(drop)
    }

    /// Calls for the time that was set.
    pub(crate) async fn run(self, service: &Service) -> Result<Taken> {
        let begun = Instant::now();
        let mut callers = Vec::new();
        for number in 0..self.connections {
            callers.push(tokio::spawn(self.caller(service.address.clone(), u32::try_from(number)?)));
        }
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.await??);
        }
        let whole = begun.elapsed();
        ensure!(!times.is_empty(), "no call was answered");
        times.sort_unstable();
        Ok(Taken { times, whole })
    }

    async fn caller(self, address: kit::net::Address, number: u32) -> Result<Vec<Duration>> {
        let channel = kit::grpc::channel(&address, None).map_err(|error| anyhow::anyhow!(error))?;
        let mut client = envoy::service::ratelimit::rate_limit_service_client::RateLimitServiceClient::new(channel);
        let connections = u32::try_from(self.connections)?;
        let pause = self.pace.map(|pace| Duration::from_secs_f64(f64::from(connections) / pace));
        // Connects.
        client.should_rate_limit(request(self.descriptors, number)).await?;
        let begun = Instant::now();
        let (mut times, mut value) = (Vec::new(), number.wrapping_mul(7919));
        while begun.elapsed() < self.time {
            value = (value + 1) % VALUES;
            let request = request(self.descriptors, value);
            let mut sent = Instant::now();
            if let Some(pause) = pause {
                let due = begun + pause * u32::try_from(times.len())? + pause * number / connections;
                // Where an answer is late, the calls that wait for it are late too, and that is part of what is measured;
                // that the timer wakes us up to a millisecond late is not.
                if sent < due {
                    tokio::time::sleep_until(due.into()).await;
                    sent = Instant::now();
                } else {
                    sent = due;
                }
            }
            client.should_rate_limit(request).await?;
            times.push(sent.elapsed());
        }
        Ok(times)
    }
}

fn request(descriptors: usize, value: u32) -> RateLimitRequest {
    let descriptor = |index: usize| descriptor(&format!("key{index}"), value);
    RateLimitRequest {
        domain: "edge".to_owned(),
        descriptors: (0..descriptors).map(descriptor).collect(),
        hits_addend: 0,
    }
}

fn descriptor(key: &str, value: u32) -> RateLimitDescriptor {
    let entries = vec![Entry { key: key.to_owned(), value: format!("value-{value}") }];
    RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }
}

/// Makes so many counters.
pub(crate) async fn fill(service: &Service, keys: u32) -> Result<()> {
    let mut fillers = Vec::new();
    for filler in 0..FILLERS {
        let address = service.address.clone();
        fillers.push(tokio::spawn(async move {
            let channel = kit::grpc::channel(&address, None).map_err(|error| anyhow::anyhow!(error))?;
            let mut client = envoy::service::ratelimit::rate_limit_service_client::RateLimitServiceClient::new(channel);
            for call in (filler..keys / FILLED).step_by(FILLERS as usize) {
                let descriptors = (0..FILLED).map(|index| descriptor("key0", call * FILLED + index)).collect();
                let request = RateLimitRequest { domain: "edge".to_owned(), descriptors, hits_addend: 0 };
                client.should_rate_limit(request).await?;
            }
            anyhow::Ok(())
        }));
    }
    for filler in fillers {
        filler.await??;
    }
    Ok(())
}
