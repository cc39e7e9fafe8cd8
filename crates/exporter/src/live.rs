//! What the live page shows: each second how fast everything goes, for as long as somebody looks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::Kit;
use serde::Serialize;
use tokio::sync::watch;

use crate::book::Id;
use crate::histogram::Histogram;
use crate::ingest::now;
use crate::labels;
use crate::traffic::{Snapshot, Traffic};

/// How often the page is told.
const PACE: Duration = Duration::from_secs(1);
/// The most routes that are told, the busiest first.
const MOST_ROUTES: usize = 200;

/// The page's state, written each second; `None` before the first.
pub(crate) type States = watch::Sender<Option<Arc<str>>>;

/// How everything goes; rates are per second.
#[derive(Debug, Serialize)]
struct State {
    time: u64,
    rate: f64,
    errors: f64,
    refused: f64,
    p99: Option<f64>,
    routes: Vec<Row>,
    /// Routes that are not told.
    hidden: usize,
}

/// How a route goes.
#[derive(Debug, Serialize)]
struct Row {
    id: Id,
    gateway: String,
    listener: String,
    kind: String,
    namespace: String,
    route: String,
    rule: String,
    /// Requests since the exporter began.
    total: u64,
    rate: f64,
    errors: f64,
    refused: f64,
    p50: Option<f64>,
    p99: Option<f64>,
}

/// What became of a route's requests.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    answers: Vec<Answers>,
    replies: Vec<Replies>,
}

#[derive(Debug, Default, Serialize)]
struct Answers {
    code: String,
    method: String,
    flags: String,
    backend: String,
    count: u64,
}

#[derive(Debug, Default, Serialize)]
struct Replies {
    code: String,
    reason: String,
    count: u64,
}

/// Requests of a route, those answered with a 5xx, and those that Envoy answered itself.
type Sums = HashMap<Id, [u64; 3]>;

/// Starts to tell; nothing is done while nobody looks.
pub(crate) fn start(kit: &Kit, traffic: &Arc<Traffic>) -> States {
    let states = watch::Sender::new(None);
    let (traffic, shutdown, sender) = (Arc::clone(traffic), kit.shutdown.clone(), states.clone());
    kit.tasks.spawn("live page", async move {
        let (mut ticks, mut last) = (tokio::time::interval(PACE), None::<(Snapshot, Instant)>);
        while shutdown.unless_stopping(ticks.tick()).await.is_some() {
            if sender.receiver_count() == 0 {
                last = None;
                continue;
            }
            let current = (traffic.snapshot(), Instant::now());
            if let Some((before, then)) = &last {
                let state = state(before, &current.0, current.1 - *then);
                sender.send_replace(Some(serde_json::to_string(&state)?.into()));
            }
            last = Some(current);
        }
        Ok::<(), serde_json::Error>(())
    });
    states
}

fn state(before: &Snapshot, current: &Snapshot, span: Duration) -> State {
    let (then, now_sums) = (sums(before), sums(current));
    let histograms: HashMap<Id, &Histogram> =
        before.routes.iter().map(|(_, route)| (route.id, &route.totals.whole)).collect();
    let nothing = Histogram::default();
    let mut all = Histogram::default();
    let mut whole = [0; 3];
    let mut routes: Vec<Row> = Vec::new();
    for (_, route) in &current.routes {
        let sums = now_sums.get(&route.id).copied().unwrap_or_default();
        let before = then.get(&route.id).copied().unwrap_or_default();
        let more: [u64; 3] = std::array::from_fn(|place| sums[place].saturating_sub(before[place]));
        let times = route.totals.whole.since(histograms.get(&route.id).copied().unwrap_or(&nothing));
        all.merge(&times);
        whole.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        let place = route.place.as_ref().clone();
        let [rate, errors, refused] = more.map(|count| rate(count, span));
        routes.push(Row {
            id: route.id,
            gateway: place.gateway,
            listener: place.listener,
            kind: place.kind,
            namespace: place.namespace,
            route: place.route,
            rule: place.rule,
            total: sums[0],
            rate,
            errors,
            refused,
            p50: times.quantile(0.5),
            p99: times.quantile(0.99),
        });
    }
    routes.sort_by(|one, other| other.rate.total_cmp(&one.rate).then(other.total.cmp(&one.total)));
    let hidden = routes.len().saturating_sub(MOST_ROUTES);
    routes.truncate(MOST_ROUTES);
    let [rate, errors, refused] = whole.map(|count| rate(count, span));
    State { time: now(), rate, errors, refused, p99: all.quantile(0.99), routes, hidden }
}

fn sums(snapshot: &Snapshot) -> Sums {
    let mut sums = Sums::new();
    for (_, outcome, count) in &snapshot.requests {
        let sum = sums.entry(outcome.route).or_default();
        sum[0] += count;
        if outcome.code >= 500 {
            sum[1] += count;
        }
    }
    for (_, route, count) in &snapshot.replies {
        sums.entry(*route).or_default()[2] += count;
    }
    sums
}

#[allow(clippy::cast_precision_loss, reason = "a rate is no exact number")]
fn rate(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64().max(1e-3)
}

/// What became of the requests of a route; nothing when there is none with this number.
pub(crate) fn detail(snapshot: &Snapshot, id: Id) -> Option<Detail> {
    snapshot.routes.iter().find(|(_, route)| route.id == id)?;
    let mut answers: Vec<Answers> = Vec::new();
    for (text, _, count) in snapshot.requests.iter().filter(|(_, outcome, _)| outcome.route == id) {
        let mut one = Answers { count: *count, ..Answers::default() };
        for (name, value) in labels::pairs(text) {
            match name {
                "code" => one.code = value.into_owned(),
                "method" => one.method = value.into_owned(),
                "flags" => one.flags = value.into_owned(),
                "backend" => one.backend = value.into_owned(),
                _ => {}
            }
        }
        answers.push(one);
    }
    let mut replies: Vec<Replies> = Vec::new();
    for (text, _, count) in snapshot.replies.iter().filter(|(_, route, _)| *route == id) {
        let mut one = Replies { count: *count, ..Replies::default() };
        for (name, value) in labels::pairs(text) {
            match name {
                "code" => one.code = value.into_owned(),
                "reason" => one.reason = value.into_owned(),
                _ => {}
            }
        }
        replies.push(one);
    }
    answers.sort_by_key(|one| std::cmp::Reverse(one.count));
    replies.sort_by_key(|one| std::cmp::Reverse(one.count));
    Some(Detail { answers, replies })
}

#[cfg(test)]
mod tests {
    use envoy::Message as _;

    use super::*;
    use crate::entry::Request;
    use crate::testing;

    #[test]
    fn rates_are_what_came_since_the_last_look() {
        let (traffic, ..) = testing::traffic("{}");
        let take = |entry: &envoy::accesslog_data::HttpAccessLogEntry| {
            let bytes = entry.encode_to_vec();
            let origin = traffic.origin("accesslog/edge/eg", "");
            traffic.count(&origin).request(&Request::read(&bytes).unwrap());
        };
        take(&testing::request());
        let before = traffic.snapshot();
        for entry in [testing::request(), testing::request(), testing::refused(503, "no_healthy_upstream")] {
            take(&entry);
        }
        let current = traffic.snapshot();
        let state = state(&before, &current, Duration::from_secs(2));
        assert_eq!((state.rate, state.errors, state.refused, state.hidden), (1.5, 0.5, 0.5, 0));
        let row = &state.routes[0];
        assert_eq!((row.total, row.rate, &*row.route), (4, 1.5, "cart"));
        // 20 ms, in a bucket of 9 % width.
        assert!((0.02..0.0219).contains(&row.p99.unwrap()), "{row:?}");
        let detail = detail(&current, row.id).unwrap();
        assert_eq!((detail.answers.len(), &*detail.answers[0].code, detail.answers[0].count), (2, "200", 3));
        assert_eq!((&*detail.replies[0].reason, detail.replies[0].count), ("no_healthy_upstream", 1));
        assert!(super::detail(&current, 99).is_none());
    }
}
