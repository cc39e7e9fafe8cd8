//! What a dear request does to others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Method;
use testbed::client;
use testbed::times::Times;
use tokio::task::JoinSet;

use crate::envoy::Edge;
use crate::house::Service;
use crate::judge::Request;

/// How long a step may take: the service's default.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
/// How many send the dear request at a time, again and again.
const ATTACKERS: usize = 8;
/// How many others there are, how often each asks, and the pause between its requests.
const OTHERS: (usize, usize, Duration) = (4, 250, Duration::from_millis(20));

/// What was seen.
pub(crate) struct Outcome {
    /// How long others take when nobody else is there, and beside the dear requests.
    pub(crate) alone: Times,
    pub(crate) beside: Times,
    pub(crate) dear: Times,
    pub(crate) dear_count: usize,
    /// What the dear requests were answered.
    pub(crate) statuses: BTreeMap<u16, usize>,
}

/// Sends others without and with the dear request beside them.
pub(crate) async fn beside(dear: &Request) -> Outcome {
    let service = Service::start(&[], &format!("engine: {{deadline: {}s}}\n", DEADLINE.as_secs())).await;
    let edge = Edge::start(&service).await;
    let method = Method::from_bytes(dear.method.as_bytes()).unwrap();
    let mut request = client::Request::new(method, &edge.url(&dear.target)).body(dear.body.clone());
    for (name, value) in &dear.headers {
        request = request.header(name, value);
    }
    let alone = others(&edge).await;
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let request = request.clone();
        attackers.spawn(async move {
            let (mut times, mut statuses) = (Vec::new(), Vec::new());
            // They outlive the others.
            let until = Instant::now() + OTHERS.2 * u32::try_from(OTHERS.1).unwrap() * 2;
            while Instant::now() < until {
                let begun = Instant::now();
                statuses.push(request.send().await.unwrap().status.as_u16());
                times.push(begun.elapsed());
            }
            (times, statuses)
        });
    }
    let beside = others(&edge).await;
    let (mut dear, mut statuses) = (Vec::new(), BTreeMap::<u16, usize>::new());
    while let Some(attacker) = attackers.join_next().await {
        let (times, answers) = attacker.unwrap();
        dear.extend(times);
        answers.into_iter().for_each(|status| *statuses.entry(status).or_default() += 1);
    }
    let dear_count = dear.len();
    Outcome { alone: Times::new(alone), beside: Times::new(beside), dear: Times::new(dear), dear_count, statuses }
}

/// Others, each of which has to be answered with 200.
async fn others(edge: &Edge) -> Vec<Duration> {
    let mut others = JoinSet::new();
    for _ in 0..OTHERS.0 {
        let request = client::Request::get(&edge.url("/products?category=chairs&page=2")).header("user-agent", "tests");
        others.spawn(async move {
            let mut times = Vec::new();
            let mut turns = tokio::time::interval(OTHERS.2);
            for _ in 0..OTHERS.1 {
                turns.tick().await;
                let begun = Instant::now();
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                times.push(begun.elapsed());
            }
            times
        });
    }
    others.join_all().await.concat()
}
