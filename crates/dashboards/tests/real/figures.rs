//! What a Prometheus says of requests is what was sent: each status, route and reason exactly, times within a bucket.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::PATIENCE;
use testbed::wait::wait_for;

use crate::house::House;

/// How long the route `slow` takes at least.
const SLOW: Duration = Duration::from_millis(300);

/// Why Envoy answers itself, by status.
type Reasons = &'static [(u16, &'static str)];

/// Requests to send: path, its route, how often, and why Envoy answers itself.
const LOAD: [(&str, &str, usize, Reasons); 11] = [
    ("", "all", 40, &[]),
    ("basket?status=500", "all", 3, &[]),
    ("basket?status=404", "all", 5, &[]),
    ("limited", "limited", 7, &[(429, "rate_limited")]),
    ("private", "private", 4, &[(302, "login"), (401, "unauthorized")]),
    ("guarded", "guarded", 6, &[]),
    (ATTACK, "guarded", 5, &[(403, "waf")]),
    ("gone", "gone", 3, &[(503, "no_healthy_upstream")]),
    ("counted", "counted", 3, &[]),
    ("uncounted", "uncounted", 2, &[]),
    ("slow?delay=300ms", "slow", 20, &[]),
];

/// An injection.
pub(crate) const ATTACK: &str = "guarded?q=1%27%20OR%20%271%27%3D%271%27--%20-";

/// Requests by route and status, or by route, status and reason.
type Counts = BTreeMap<Vec<String>, u64>;

/// What was sent, as its clients saw it.
#[derive(Debug, Default)]
struct Sent {
    requests: Counts,
    replies: Counts,
    /// How long clients waited for answers of the route `slow`.
    times: Vec<Duration>,
}

/// Sends it all, one after the other.
async fn send(house: &House) -> Sent {
    let mut sent = Sent::default();
    for (path, route, times, reasons) in LOAD {
        for _ in 0..times {
            let begin = Instant::now();
            let status = house.request(path).send().await.unwrap().status.as_u16();
            if route == "slow" {
                sent.times.push(begin.elapsed());
            }
            let key = vec![status.to_string(), route.to_owned()];
            *sent.requests.entry(key.clone()).or_default() += 1;
            if let Some((_, reason)) = reasons.iter().find(|(code, _)| *code == status) {
                let key = [key, vec![(*reason).to_owned()]].concat();
                *sent.replies.entry(key).or_default() += 1;
            }
        }
    }
    sent
}

/// Sends requests to a house that had none, and compares.
pub(crate) async fn assert_exact(house: &House) {
    let sent = send(house).await;
    // Each kind of answer is among them.
    let reasons: Vec<&str> = sent.replies.keys().map(|key| key[2].as_str()).collect();
    for reason in ["rate_limited", "waf", "no_healthy_upstream"] {
        assert!(reasons.contains(&reason), "{sent:?}");
    }
    assert!(reasons.contains(&"login") || reasons.contains(&"unauthorized"), "{sent:?}");
    let all: u64 = sent.requests.values().sum();
    let told = async || {
        let counted = counts(house, "sum by (code, route) (gateway_requests_total)", &["code", "route"]).await;
        (counted.values().sum::<u64>() >= all).then_some(counted)
    };
    let counted = wait_for("all requests in Prometheus", PATIENCE, told).await.unwrap();
    assert_eq!(counted, sent.requests);
    let query = "sum by (code, route, reason) (gateway_local_replies_total)";
    assert_eq!(counts(house, query, &["code", "route", "reason"]).await, sent.replies);
    assert_times(house, &sent.times).await;
}

/// Envoy's time of a request is less than its client's, and not less than the back end's.
async fn assert_times(house: &House, times: &[Duration]) {
    let buckets = counts(house, r#"sum by (le) (gateway_request_seconds_bucket{route="slow"})"#, &["le"]).await;
    assert!(buckets.len() > 10, "{buckets:?}");
    for (bound, count) in buckets {
        let seconds: f64 = bound[0].parse().unwrap_or(f64::INFINITY);
        let as_clients_saw = times.iter().filter(|time| time.as_secs_f64() <= seconds).count() as u64;
        let most = if seconds < SLOW.as_secs_f64() { 0 } else { times.len() as u64 };
        assert!((as_clients_saw..=most).contains(&count), "{count} within {seconds} s, and clients saw {times:?}");
    }
    let quantile = r#"histogram_quantile(0.5, sum by (le) (gateway_request_seconds_bucket{route="slow"}))"#;
    let found: f64 = value(&house.prometheus.query(quantile).await.unwrap()[0]);
    let slowest = times.iter().max().unwrap().as_secs_f64();
    // From the end of the bucket before to that of the slowest one's.
    assert!(found >= 0.25 && found <= slowest.max(0.5) * 2.5, "{found} {slowest}");
}

/// What a query counts, by the values of these labels.
async fn counts(house: &House, query: &str, labels: &[&str]) -> Counts {
    let found = house.prometheus.query(query).await.unwrap();
    let label = |series: &Value, name: &&str| series["metric"][*name].as_str().unwrap_or_default().to_owned();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and small")]
    let count = |series: &Value| value(series) as u64;
    found.iter().map(|series| (labels.iter().map(|name| label(series, name)).collect(), count(series))).collect()
}

fn value(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}
