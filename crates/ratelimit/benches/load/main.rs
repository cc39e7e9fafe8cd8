//! This service and the reference under the same load on the same Redis, taking turns. Prints figures as JSON for
//! `cargo xtask bench ratelimit`, and progress on standard error.
//!
//! ```text
//! calls of this process ─▶ portcullis-ratelimit ─┐
//!                       ─▶ reference ────────────┴─▶ one Redis
//! ```

mod calls;
mod services;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use calls::Caller;
use serde_json::{Value, json};
use services::{Kind, Service};
use testbed::calls::{Load, Taken, is_wanted};
use testbed::proc::processor_time;
use testbed::process::{Process, Spec};
use testbed::redis::{self, Redis};

/// How long calls at a pace are measured each time, and calls as fast as they are answered.
const TIMES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));
/// How often the services take turns at the same pace.
const TURNS: usize = 2;
/// The most calls a second of a connection where both get the same: timers are of a millisecond.
const FASTEST: f64 = 500.0;
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
                compare(&mut figures, &redis, Case { kind, descriptors, connections, neighbours: 0 }).await?;
            }
        }
    }
    for connections in [1, 64] {
        let neighbours = thread::available_parallelism()?.get() + 1;
        compare(&mut figures, &redis, Case { kind: Kind::Fixed, descriptors: 1, connections, neighbours }).await?;
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

/// Who asks for what.
#[derive(Clone, Copy)]
struct Case {
    kind: Kind,
    descriptors: usize,
    connections: u32,
    /// How many processes compute beside them, without an end.
    neighbours: usize,
}

impl Case {
    fn title(self) -> String {
        let Self { kind, descriptors, connections, neighbours } = self;
        let beside = if neighbours > 0 { ", beside busy processes" } else { "" };
        format!("{descriptors} descriptors, {connections} connections, {}{beside}", kind.name())
    }
}

/// As fast as it goes, then for time and cost at half of what the reference can do, in turns. The reference has fixed windows
/// only, which all else is compared to.
async fn compare(figures: &mut Figures, redis: &Redis, case: Case) -> Result<()> {
    let (title, Case { kind, descriptors, connections, neighbours }) = (case.title(), case);
    if !is_wanted(&title) {
        return Ok(());
    }
    eprintln!("  {title}");
    let computing = |_| Spec::new("sh").args(["-c", "while :; do :; done"]).start();
    let _neighbours: Vec<Process> = (0..neighbours).map(computing).collect::<Result<_>>()?;
    redis.command(&["FLUSHALL"]).await?;
    // One is idle while the other is measured.
    let services = [Service::ours(redis, kind).await?, Service::reference(redis).await?];
    let fast = Load { connections, time: TIMES.1, pace: None };
    let (mut peaks, mut costs) = (Vec::new(), Vec::new());
    for service in &services {
        let connect = |number| Caller::new(service, descriptors, number);
        fast.warm(connect).await?;
        let before = Spent::until_now(service, redis)?;
        let peak = fast.run(connect).await?;
        let spent = Spent::until_now(service, redis)?.since(&before, &peak);
        eprintln!(
            "    a call at the peak: service {:.0} us, Redis {:.0} us, client {:.0} us",
            spent[0], spent[1], spent[2]
        );
        peaks.push(peak.rate());
        costs.push(spent[0]);
    }
    let pace = (peaks[1] / 2.0).min(FASTEST * f64::from(connections));
    let paced = Load { time: TIMES.0, pace: Some(pace), ..fast };
    let mut turns = [Paced::default(), Paced::default()];
    for _ in 0..TURNS {
        for (service, turn) in services.iter().zip(&mut turns) {
            turn.run(paced, service, descriptors).await?;
        }
    }
    let [own, peer] = turns;
    let times = (own.taken.times(), peer.taken.times());
    figures.against(&format!("p50: {title}"), times.0.millis(0.5), "ms", times.1.millis(0.5));
    figures.against(&format!("p99: {title}"), times.0.millis(0.99), "ms", times.1.millis(0.99));
    figures.against(&format!("processor seconds for 100,000: {title}"), own.cost(), "s", peer.cost());
    figures.against(&format!("peak: {title}"), peaks[0], "1/s", peaks[1]);
    figures.against(&format!("processor time of a call at the peak: {title}"), costs[0], "µs", costs[1]);
    let (cost, late, peak) = TARGETS;
    eprintln!(
        "    at {pace:.0}/s: cost {:.2} (target {cost:.2}), p99 {:.2} (target {late:.2}); peak {:.2} (target {:.1})",
        own.cost() / peer.cost(),
        times.0.millis(0.99) / times.1.millis(0.99),
        peaks[0] / peaks[1],
        1.0 / peak
    );
    Ok(())
}

/// What a service did at the pace, in all its turns.
#[derive(Default)]
struct Paced {
    taken: Taken,
    spent: Duration,
}

impl Paced {
    async fn run(&mut self, load: Load, service: &Service, descriptors: usize) -> Result<()> {
        let before = service.processor_time()?;
        self.taken.merge(load.run(|number| Caller::new(service, descriptors, number)).await?);
        self.spent += service.processor_time()? - before;
        Ok(())
    }

    /// Processor seconds of 100,000 calls.
    fn cost(&self) -> f64 {
        self.spent.as_secs_f64() / self.taken.count() * 100_000.0
    }
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
    fn since(&self, before: &Self, calls: &Taken) -> [f64; 3] {
        std::array::from_fn(|who| (self.0[who] - before.0[who]) / calls.count())
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
