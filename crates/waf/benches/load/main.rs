//! The firewall behind Envoy, plain Coraza and ModSecurity under the same load with the same rules, taking turns. Prints figures as
//! JSON for `cargo xtask bench waf`, and progress on standard error.
//!
//! ```text
//! requests of this process ─┬─▶ Envoy ─▶ backend of this process
//!                           │     └─▶ portcullis-waf
//!                           ├─▶ plain Coraza, a Go server that answers itself
//!                           └─▶ nginx with ModSecurity ─▶ the same backend
//! ```
//!
//! And the engine by itself, with its gate and without.

#![allow(clippy::unwrap_used, reason = "shared with tests")]

#[path = "../../tests/crs/backend.rs"]
#[allow(dead_code, reason = "shared with the regression tests")]
mod backend;
mod calls;
mod contender;
mod engine;
#[path = "../../tests/service/envoy.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod envoy;
#[path = "../../tests/service/house.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod house;
mod requests;

use std::time::Duration;

use anyhow::Result;
use calls::Client;
use contender::Contender;
use requests::{KINDS, Kind};
use serde_json::{Value, json};
use testbed::calls::{Caller as _, Load, Taken, is_wanted};

/// How long requests at a pace are measured each time, and requests as fast as they are answered.
const TIMES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(2));
/// How often the contenders take turns at the same pace.
const TURNS: usize = 2;
const CONNECTIONS: u32 = 4;
/// The pace of all, as a share of the lowest peak.
const PACE: f64 = 0.3;
/// The most MiB of the service with its profiles loaded.
const MEMORY: f64 = 150.0;
/// Requests that show whether memory grows, of each connection, and before it is looked at for the first time.
const FLAT: (u32, u32) = (12_500, 2_500);

#[tokio::main]
async fn main() -> Result<()> {
    let mut figures = Figures::default();
    let backend = backend::start().await;
    let contenders =
        [Contender::ours(backend).await?, Contender::plain().await?, Contender::modsecurity(backend).await?];
    figures.push("memory of the service, rules loaded", contenders[0].memory()?, "MiB", Some(MEMORY));
    for kind in KINDS {
        if is_wanted(kind.name()) {
            compare(&mut figures, &contenders, kind).await?;
        }
    }
    if is_wanted("memory") {
        memory(&mut figures, &contenders).await?;
    }
    if is_wanted("engine") {
        eprintln!("  engine");
        for (kind, [gated, plain]) in engine::compare(&[Kind::Get, Kind::Json, Kind::Form])? {
            let name = format!("{}: the engine alone, beside itself without its gate", kind.name());
            figures.push(&name, gated, "µs", Some(plain));
        }
    }
    println!("{}", Value::Array(figures.0));
    Ok(())
}

/// As fast as it goes, then for time and cost at a pace that all can hold, in turns.
async fn compare(figures: &mut Figures, contenders: &[Contender; 3], kind: Kind) -> Result<()> {
    eprintln!("  {}", kind.name());
    let mut peaks = Vec::new();
    for contender in contenders {
        let request = kind.request(&contender.target);
        let fast = Load { connections: CONNECTIONS, time: TIMES.1, pace: None };
        fast.warm(|_| Ok(Client::new(&request))).await?;
        let peak = fast.run(|_| Ok(Client::new(&request))).await?.rate();
        eprintln!("    {}: {peak:.0} a second", contender.name);
        peaks.push(peak);
    }
    let pace = Some(PACE * peaks.iter().copied().fold(f64::INFINITY, f64::min));
    let paced = Load { connections: CONNECTIONS, time: TIMES.0, pace };
    let mut costs: [Cost; 3] = Default::default();
    for _ in 0..TURNS {
        for (contender, cost) in contenders.iter().zip(&mut costs) {
            let before = contender.processor_time()?;
            let request = kind.request(&contender.target);
            cost.taken.merge(paced.run(|_| Ok(Client::new(&request))).await?);
            let after = contender.processor_time()?;
            cost.engine += after[0] - before[0];
            cost.edge += after[1] - before[1];
        }
    }
    let [ours, plain, modsecurity] = &costs;
    let micros = |cost: &Cost| cost.engine.as_secs_f64() * 1e6 / cost.taken.count();
    figures.three(kind, "processor time of a request", "µs", [ours, plain, modsecurity].map(micros));
    let edge = ours.edge.as_secs_f64() * 1e6 / ours.taken.count();
    figures.push(&format!("{}: Envoy's beside it", kind.name()), edge, "µs", None);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let millis = |cost: &Cost| cost.taken.times().millis(share);
        figures.three(kind, name, "ms", [ours, plain, modsecurity].map(millis));
    }
    figures.three(kind, "peak", "1/s", [peaks[0], peaks[1], peaks[2]]);
    Ok(())
}

/// What the contenders have in memory after all that, and what more requests add to it.
async fn memory(figures: &mut Figures, contenders: &[Contender; 3]) -> Result<()> {
    eprintln!("  memory");
    let send = async |count: u32| -> Result<()> {
        let requests = [Kind::Get, Kind::Json].map(|kind| kind.request(&contenders[0].target));
        let clients = (0..CONNECTIONS).flat_map(|_| requests.iter().map(Client::new)).map(async |mut client| {
            for _ in 0..count / 2 {
                client.call(()).await?;
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(clients).await.map(drop)
    };
    send(FLAT.1).await?;
    let before = contenders[0].memory()?;
    send(FLAT.0).await?;
    let after = contenders[0].memory()?;
    figures.push("memory of the service, after 10,000 requests more", before, "MiB", None);
    figures.push("memory of the service, after 50,000 requests more", after, "MiB", Some(before));
    for other in &contenders[1..] {
        figures.push(&format!("memory of {}", other.name), other.memory()?, "MiB", None);
    }
    Ok(())
}

/// What a contender took.
#[derive(Default)]
struct Cost {
    taken: Taken,
    engine: Duration,
    edge: Duration,
}

#[derive(Default)]
struct Figures(Vec<Value>);

impl Figures {
    fn push(&mut self, name: &str, value: f64, unit: &str, peer: Option<f64>) {
        let ratio = peer.map(|peer| value / peer);
        // As it comes, so that a run that is ended early was not for nothing.
        eprintln!("    {name}: {value:.2} {unit}");
        self.0.push(json!({ "name": name, "value": value, "unit": unit, "peer": peer, "ratio": ratio }));
    }

    /// Ours beside each of the others.
    fn three(&mut self, kind: Kind, what: &str, unit: &str, [ours, plain, modsecurity]: [f64; 3]) {
        let name = kind.name();
        self.push(&format!("{name}: {what}, beside plain Coraza"), ours, unit, Some(plain));
        self.push(&format!("{name}: {what}, beside ModSecurity"), ours, unit, Some(modsecurity));
    }
}
