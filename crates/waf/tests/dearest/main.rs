//! The dearest request within 128 KiB, found by climbing, and what it does to others: `cargo xtask waf dearest`.
//!
//! ```text
//! a request ─▶ changed a little ─▶ judged: takes longer? keep it ─▶ …      for each kind of body, then on with the best
//! the dearest ─▶ Envoy ─▶ portcullis-waf, again and again; others beside it: their p99, and whether any of them fails
//! ```
//!
//! Arguments: how many steps, how many seconds at most, the seed. The last line says how long the dearest took to be answered, and
//! the p99 of the others; an error when either is out of bounds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../shared/chance.rs"]
#[allow(dead_code, reason = "shared")]
mod chance;
#[path = "../service/envoy.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod envoy;
#[path = "../service/house.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod house;
#[path = "../shared/judge.rs"]
#[allow(dead_code, reason = "shared")]
mod judge;
mod others;
mod shape;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use chance::Chance;
use judge::Judge;
use shape::{KINDS, Shape};

/// Steps in which each kind is looked at before the best one is followed.
const BEGIN: usize = 6;
/// The time that others may take while the dearest requests are judged (p99), and more than the deadline for those.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(500));

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u32>().expect("a number"));
    let (steps, seconds) = (args.next().unwrap_or(300), args.next().unwrap_or(120));
    let seed = args.next().unwrap_or(1);
    let search = move || climb(steps as usize, Duration::from_secs(seconds.into()), seed);
    let (dearest, took) = tokio::task::spawn_blocking(search).await.unwrap();
    println!("the dearest keeps the engine busy for {took:.2?}: {dearest:?}");
    let outcome = others::beside(&dearest.request()).await;
    println!(
        "alone, others take {:.1} ms at p50, {:.1} ms at p99",
        outcome.alone.millis(0.5),
        outcome.alone.millis(0.99)
    );
    let (slowest, p99) = (outcome.dear.millis(1.0), outcome.beside.millis(0.99));
    println!("{} dear requests are answered meanwhile, {:?}", outcome.dear_count, outcome.statuses);
    println!(
        "the dearest is answered within {slowest:.0} ms; beside it, others take {:.1} ms at p50, {p99:.1} ms at p99",
        outcome.beside.millis(0.5)
    );
    let most = (others::DEADLINE + BOUNDS.1).as_secs_f64() * 1e3;
    if slowest < most && p99 < BOUNDS.0.as_secs_f64() * 1e3 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The dearest request that was found, and how long it takes.
fn climb(steps: usize, most: Duration, seed: u32) -> (Shape, Duration) {
    let judge = Judge::new(&[]);
    let profile = judge.profile("baseline");
    // The first takes longer: memory is not there yet.
    let price = |shape: &Shape| {
        let request = shape.request();
        let once = || judge.judge(&profile, &request).2;
        once().min(once())
    };
    let (begun, mut chance) = (Instant::now(), Chance::new(seed.into()));
    let mut best: Option<(Shape, Duration)> = None;
    for step in 0..steps {
        if begun.elapsed() > most {
            break;
        }
        let shape = match &best {
            Some((shape, _)) if step >= BEGIN * KINDS.len() => shape.changed(&mut chance),
            _ => Shape::new(KINDS[step % KINDS.len()], &mut chance),
        };
        let took = price(&shape);
        if best.as_ref().is_none_or(|(_, before)| took > *before) {
            eprintln!("  step {step}: {took:.2?}, {shape:?}");
            best = Some((shape, took));
        }
    }
    best.unwrap()
}
