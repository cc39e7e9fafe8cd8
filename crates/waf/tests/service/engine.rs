//! What the settings of the engine bound: how many requests are judged at a time, the processors and threads of the system that
//! rules take, and memory.

use std::fs;
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use http::StatusCode;

use crate::envoy::Edge;
use crate::house::Service;

/// A service with a profile of these rules alone, and such an engine.
async fn service(rules: &str, engine: &str) -> (Service, Edge) {
    let profile = format!("name: p\ncoreRules: {{version: none}}\ndirectives: |\n{rules}");
    let settings = format!("defaultProfile: p\nengine: {{deadline: 25s, {engine}}}\n");
    let service = Service::start(&[("p.yaml", &profile)], &settings).await;
    let edge = Edge::start(&service).await;
    (service, edge)
}

/// Requests that want to be judged at once.
const CROWD: usize = 12;
/// How long, in milliseconds, they stay where too many of them would be found.
const WHILE: u32 = 50;
/// The same where enough of them are waited for.
const LONG: u32 = 20_000;

/// A crowd of requests at a rule that knows by their parameter how long they stay there.
struct Crowd(Edge);

impl Crowd {
    /// Whether any of them has found more there than the rule says.
    async fn of_small(&self, parameter: &str, stay: u32) -> bool {
        let target = format!("/?{parameter}={stay}");
        let one = async || self.0.get(&target).await.status;
        refused(&join_all((0..CROWD).map(|_| one())).await)
    }

    async fn of_large(&self, parameter: &str, stay: u32) -> bool {
        let body = format!("pad={}&{parameter}={stay}", "a".repeat(20_000));
        refused(&join_all((0..CROWD).map(|_| self.0.form(body.clone()))).await)
    }

    /// Small ones come again and again, as the heads of large ones need the seats of small ones for a moment.
    async fn of_both(&self, parameter: &str, stay_of_large: u32, times: usize) -> bool {
        let small = async {
            for _ in 0..times {
                if self.of_small(parameter, WHILE).await {
                    return true;
                }
            }
            false
        };
        let (small, large) = join(small, self.of_large(parameter, stay_of_large)).await;
        small || large
    }
}

fn refused(answers: &[StatusCode]) -> bool {
    assert!(answers.iter().all(|status| [StatusCode::OK, StatusCode::FORBIDDEN].contains(status)), "{answers:?}");
    answers.contains(&StatusCode::FORBIDDEN)
}

#[tokio::test]
async fn no_more_are_judged_at_a_time_than_there_are_threads_and_half_as_many_large_ones() {
    for threads in [1_usize, 2, 3] {
        let large = threads.div_ceil(2);
        let rule = |(number, (parameter, most)): (usize, (&str, usize))| {
            format!("  SecRule ARGS:{parameter} \"@crowd {most}\" \"id:{},phase:2,deny\"\n", 10_001 + number)
        };
        let never = [("small", threads), ("large", large), ("both", threads + large)];
        let reached = [("all_small", threads - 1), ("all_large", large - 1), ("all", threads + large - 1)];
        let rules: String = never.into_iter().chain(reached).enumerate().map(rule).collect();
        let (_service, edge) = service(&rules, &format!("threads: {threads}")).await;
        let crowd = Crowd(edge);
        assert!(!crowd.of_small("small", WHILE).await, "{threads}");
        assert!(!crowd.of_large("large", WHILE).await, "{threads}");
        assert!(!crowd.of_both("both", WHILE, 2).await, "{threads}");
        assert!(crowd.of_small("all_small", LONG).await, "{threads}");
        assert!(crowd.of_large("all_large", LONG).await, "{threads}");
        assert!(crowd.of_both("all", LONG, 100).await, "{threads}");
    }
}

/// A service with dear rules: each of them reads a parameter anew, and there is no gate to leave them out.
struct Dear {
    service: Service,
    edge: Edge,
}

impl Dear {
    async fn start(threads: u16) -> Self {
        let rule =
            |number: u32| format!("  SecRule ARGS:x \"@rx (?:a|b)*{number}c\" \"id:{number},phase:2,pass,nolog\"\n");
        let rules: String = (10_000..10_600).map(rule).collect();
        let (service, edge) = service(&rules, &format!("gate: false, threads: {threads}")).await;
        Self { service, edge }
    }

    /// How many processors it wanted, on average, while so many small and so many large requests at once were judged.
    async fn wanted(&self, small: usize, large: usize) -> f64 {
        let body = |size| format!("x={}", "a".repeat(size));
        let bodies = (0..small).map(|_| body(8000)).chain((0..large).map(|_| body(40_000)));
        let (begun, before) = (Instant::now(), self.runnable());
        let answers = join_all(bodies.map(|body| self.edge.form(body))).await;
        assert!(answers.iter().all(|status| *status == StatusCode::OK), "{answers:?}");
        (self.runnable() - before).as_secs_f64() / begun.elapsed().as_secs_f64()
    }

    /// The time for which its threads ran, or waited for a processor: so it does not matter what else the machine does.
    fn runnable(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.service.process.pid())).unwrap();
        let nanos = threads.filter_map(|thread| {
            let line = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            line.split_whitespace().take(2).map(|nanos| nanos.parse::<u64>().ok()).sum::<Option<u64>>()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Its threads, with those that wait for work: none of them ends so soon.
    fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.service.process.pid())).unwrap().count()
    }
}

/// Between one and two, as some time goes to what serves beside the rules.
const BETWEEN: f64 = 1.5;

#[tokio::test]
async fn rules_want_no_more_processors_than_there_are_threads() {
    let one = Dear::start(1).await;
    // One of either is judged at a time, and both share one processor.
    let wanted = one.wanted(24, 6).await;
    assert!(wanted < BETWEEN, "{wanted}");
    // Those who wait take no threads of the system.
    let before = one.threads();
    let wanted = one.wanted(40, 0).await;
    assert!(wanted < BETWEEN && one.threads() < before + 16, "{wanted}, {before} threads, {}", one.threads());
    drop(one);
    let two = Dear::start(2).await;
    // Of large ones one at a time is judged.
    let wanted = two.wanted(0, 4).await;
    assert!(wanted < BETWEEN, "{wanted}");
    let wanted = two.wanted(24, 0).await;
    assert!(wanted > BETWEEN, "{wanted}");
}

/// What the engine's memory is limited to, in MiB, and what the service may have beside it: the gate's automata, buffers, programs.
const LIMIT: u32 = 100;
const BESIDE: u32 = 120;

/// What a service has in memory, in MiB, once it has judged many requests.
async fn memory(more: &str) -> f64 {
    let service = Service::start(&[], &format!("engine: {{deadline: 25s, memoryGrowth: 900{more}}}\n")).await;
    let edge = Edge::start(&service).await;
    for _ in 0..100 {
        let answers = join_all((0..8).map(|_| edge.form("name=ann&text=hello+world".repeat(200)))).await;
        assert!(!answers.contains(&StatusCode::INTERNAL_SERVER_ERROR));
    }
    service.process.resident_mebibytes().unwrap()
}

#[tokio::test]
async fn the_engine_s_memory_is_held_where_it_is_limited() {
    let (free, held) = (memory("").await, memory(&format!(", memoryLimit: {}", LIMIT << 20)).await);
    assert!(held < f64::from(LIMIT + BESIDE) && free > f64::from(LIMIT + 2 * BESIDE), "{held} MiB, {free} without");
}
