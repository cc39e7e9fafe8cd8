//! This service and the reference under the same load on the same Redis, taking turns. Prints figures as JSON for
//! `cargo xtask bench ratelimit`, and progress on standard error.
//!
//! ```text
//! calls of this process ─▶ portcullis-ratelimit ─┐
//!                       ─▶ reference ────────────┴─▶ one Redis
//! ```

mod calls;
mod services;

use std::time::Duration;

use anyhow::{Context, Result};
use calls::{Load, Taken};
use serde_json::{Value, json};
use services::{Kind, Service};
use testbed::proc::processor_time;
use testbed::redis::{self, Redis};

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(3);
/// Requests a second where both get the same, at most so many of a connection: timers are of a millisecond.
const PACE: (u32, u32) = (2000, 500);
/// What of the reference's this service should need at most: processor time, p99, and its peak the other way round.
const TARGETS: (f64, f64, f64) = (1.0 / 3.0, 0.5, 0.5);
/// Live keys in the embedded store.
const KEYS: u32 = 1_000_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut figures = Figures::default();
    let redis = redis::Spec::new().start().await?;
    for kind in [Kind::Fixed, Kind::Sliding] {
        for descriptors in [1, 2, 10] {
            for connections in [1, 64] {
                compare(&mut figures, &redis, kind, descriptors, connections).await?;
            }
        }
    }
    if !is_wanted("memory") {
        println!("{}", Value::Array(figures.0));
        return Ok(());
    }
    let idle = Service::ours(&redis, Kind::Fixed).await?;
    figures.push("resident memory, idle", idle.memory()?, "MiB", Some(30.0));
    drop(idle);
    memory(&mut figures).await?;
    println!("{}", Value::Array(figures.0));
    Ok(())
}

/// Paced for time and cost, then as fast as it goes. The reference has fixed windows only, which all else is compared to.
async fn compare(
    figures: &mut Figures,
    redis: &Redis,
    kind: Kind,
    descriptors: usize,
    connections: usize,
) -> Result<()> {
    let title = format!("{} descriptors, {connections} connections, {}", descriptors, kind.name());
    if !is_wanted(&title) {
        return Ok(());
    }
    eprintln!("  {title}");
    let mut taken = Vec::new();
    for reference in [false, true] {
        redis.command(&["FLUSHALL"]).await?;
        let service = if reference { Service::reference(redis).await? } else { Service::ours(redis, kind).await? };
        let pace = PACE.0.min(PACE.1 * u32::try_from(connections)?);
        let load = Load { descriptors, connections, time: TIME, pace: Some(pace) };
        load.warm(&service).await?;
        let before = service.processor_time()?;
        let paced = load.run(&service).await?;
        let cost = (service.processor_time()? - before).as_secs_f64() / paced.count() * 100_000.0;
        let before = Spent::until_now(&service, redis)?;
        let peak = Load { pace: None, ..load }.run(&service).await?;
        eprintln!("    {}", Spent::until_now(&service, redis)?.since(&before, &peak));
        taken.push((paced, cost, peak));
    }
    let [(own, own_cost, own_peak), (peer, peer_cost, peer_peak)] = taken.as_slice() else { return Ok(()) };
    let ms = |taken: &Taken, share| taken.millis(share);
    figures.against(&format!("p50: {title}"), ms(own, 0.5), "ms", ms(peer, 0.5));
    figures.against(&format!("p99: {title}"), ms(own, 0.99), "ms", ms(peer, 0.99));
    figures.against(&format!("processor seconds for 100,000: {title}"), *own_cost, "s", *peer_cost);
    figures.against(&format!("peak: {title}"), own_peak.rate(), "1/s", peer_peak.rate());
    let (cost, late, peak) = TARGETS;
    eprintln!(
        "    cost {:.2} (target {cost:.2}), p99 {:.2} (target {late:.2}), peak {:.2} (target {:.1})",
        own_cost / peer_cost,
        ms(own, 0.99) / ms(peer, 0.99),
        own_peak.rate() / peer_peak.rate(),
        1.0 / peak
    );
    Ok(())
}

/// `cargo bench --bench load -- "10 descriptors" fixed` measures only what is named so.
fn is_wanted(title: &str) -> bool {
    std::env::args().skip(1).filter(|word| !word.starts_with("--")).all(|word| title.contains(&word))
}

/// What a million live counters cost the embedded store.
async fn memory(figures: &mut Figures) -> Result<()> {
    eprintln!("  a million keys in the embedded store");
    let service = Service::embedded(KEYS).await?;
    let before = service.memory()?;
    calls::fill(&service, KEYS).await?;
    let after = service.memory()?;
    figures.push("resident memory, a million live keys in the embedded store", after, "MiB", None);
    figures.push("memory of a key", (after - before) * f64::from(1 << 20) / f64::from(KEYS), "bytes", None);
    Ok(())
}

/// Processor time of the three who share the machine, in microseconds.
struct Spent([f64; 3]);

impl Spent {
    fn until_now(service: &Service, redis: &Redis) -> Result<Self> {
        let redis = processor_time(redis.pid().context("Redis runs")?)?;
        let times = [service.processor_time()?, redis, processor_time("self")?];
        Ok(Self(times.map(|time| time.as_secs_f64() * 1e6)))
    }

    /// What a call at the peak takes of each: what they share is what the peak can be.
    fn since(&self, before: &Self, calls: &Taken) -> String {
        let [service, redis, client] = std::array::from_fn(|who| (self.0[who] - before.0[who]) / calls.count());
        format!("a call at the peak: service {service:.0} us, Redis {redis:.0} us, client {client:.0} us")
    }
}

#[derive(Default)]
struct Figures(Vec<Value>);

impl Figures {
    fn push(&mut self, name: &str, value: f64, unit: &str, peer: Option<f64>) {
        let ratio = peer.map(|peer| value / peer);
        self.0.push(json!({ "name": name, "value": value, "unit": unit, "peer": peer, "ratio": ratio }));
    }

    fn against(&mut self, name: &str, value: f64, unit: &str, peer: f64) {
        self.push(name, value, unit, Some(peer));
    }
}
