//! What the live page shows: each second how fast everything goes, for as long as somebody looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kit::Kit;
use serde::Serialize;
use tokio::sync::watch;

use crate::book::Id;
use crate::budgets::{Budgets, Told};
use crate::histogram::Histogram;
use crate::ingest::now;
use crate::labels::{self, Place};
use crate::traffic::{Snapshot, Traffic};

/// How often the page is told.
const PACE: Duration = Duration::from_secs(1);
/// The same for what is left of budgets while nobody looks.
const UNWATCHED: Duration = Duration::from_secs(60);
/// The most routes that are told, the busiest first.
const MOST_ROUTES: usize = 200;
/// The same of gateways.
const MOST_GATEWAYS: usize = 20;

/// The page's state, written each second; `None` before the first.
pub(crate) type States = watch::Sender<Option<Arc<str>>>;

/// What the page is made of.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) states: States,
    budgets: Arc<Mutex<Budgets>>,
}

/// How everything goes.
#[derive(Debug, Serialize)]
struct State {
    /// Milliseconds since 1970, as `since`: the moment from which on budgets are counted.
    time: u64,
    since: u64,
    #[serde(flatten)]
    pace: Pace,
    /// The least that is left of any budget, told or not.
    budget: Option<f64>,
    gateways: Vec<Gateway>,
    routes: Vec<Row>,
    /// Routes that are not told.
    hidden: usize,
}

/// How fast requests come, and how they go; rates are per second.
#[derive(Debug, Serialize)]
struct Pace {
    rate: f64,
    errors: f64,
    refused: f64,
    p50: Option<f64>,
    p99: Option<f64>,
}

/// How a gateway goes.
#[derive(Debug, Serialize)]
struct Gateway {
    gateway: String,
    #[serde(flatten)]
    pace: Pace,
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
    #[serde(flatten)]
    pace: Pace,
    /// The least that is left of its budgets, if it promises something: 1 is all of it.
    budget: Option<f64>,
}

/// What became of a route's requests.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    promise: Option<Told>,
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

/// What was counted between two looks.
#[derive(Debug, Default)]
struct Grown {
    sums: [u64; 3],
    times: Histogram,
}

impl Grown {
    fn add(&mut self, other: &Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum += more);
        self.times.merge(&other.times);
    }

    fn pace(&self, span: Duration) -> Pace {
        let [rate, errors, refused] = self.sums.map(|count| rate(count, span));
        Pace { rate, errors, refused, p50: self.times.quantile(0.5), p99: self.times.quantile(0.99) }
    }
}

/// Starts to tell. While nobody looks, only budgets are kept.
pub(crate) fn start(kit: &Kit, traffic: &Arc<Traffic>) -> Live {
    let budgets = Arc::new(Mutex::new(Budgets::new(Instant::now())));
    let live = Live { states: watch::Sender::new(None), budgets };
    let (traffic, shutdown, told) = (Arc::clone(traffic), kit.shutdown.clone(), live.clone());
    kit.tasks.spawn("live page", async move {
        let (mut ticks, mut last) = (tokio::time::interval(PACE), None::<(Snapshot, Instant)>);
        let mut looked = None::<Instant>;
        while shutdown.unless_stopping(ticks.tick()).await.is_some() {
            let watched = told.states.receiver_count() > 0;
            if !watched {
                last = None;
                if looked.is_some_and(|then| then.elapsed() < UNWATCHED) {
                    continue;
                }
            }
            let current = (traffic.snapshot(), Instant::now());
            looked = Some(current.1);
            let state = {
                let budgets = told.look(&current.0, &traffic);
                last.as_ref().map(|(before, then)| state(before, &current.0, current.1 - *then, &budgets))
            };
            if let Some(state) = state {
                told.states.send_replace(Some(serde_json::to_string(&state)?.into()));
            }
            last = watched.then_some(current);
        }
        Ok::<(), serde_json::Error>(())
    });
    live
}

impl Live {
    fn look(&self, snapshot: &Snapshot, traffic: &Traffic) -> MutexGuard<'_, Budgets> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.look(snapshot, &traffic.bounds.seconds, Instant::now());
        budgets
    }

    /// What became of the requests of a route; nothing when there is none with this number.
    pub(crate) fn detail(&self, traffic: &Traffic, id: Id) -> Option<Detail> {
        let snapshot = traffic.snapshot();
        detail(&snapshot, id, &self.look(&snapshot, traffic))
    }
}

fn state(before: &Snapshot, current: &Snapshot, span: Duration, budgets: &Budgets) -> State {
    let (then, now_sums) = (sums(before), sums(current));
    let histograms: HashMap<Id, &Histogram> =
        before.routes.iter().map(|(_, route)| (route.id, &route.totals.whole)).collect();
    let (mut all, mut gateways) = (Grown::default(), HashMap::<&str, Grown>::new());
    let mut routes: Vec<Row> = Vec::new();
    for (_, route) in &current.routes {
        let sums = now_sums.get(&route.id).copied().unwrap_or_default();
        let before = then.get(&route.id).copied().unwrap_or_default();
        let whole = &route.totals.whole;
        let times =
            histograms.get(&route.id).map_or_else(|| whole.since(&Histogram::default()), |then| whole.since(then));
        let grown = Grown { sums: std::array::from_fn(|place| sums[place].saturating_sub(before[place])), times };
        all.add(&grown);
        gateways.entry(&route.place.gateway).or_default().add(&grown);
        let Place { gateway, listener, kind, namespace, route: name, rule } = route.place.as_ref().clone();
        let (total, pace, budget) = (sums[0], grown.pace(span), budgets.least(&route.place));
        routes.push(Row { id: route.id, gateway, listener, kind, namespace, route: name, rule, total, pace, budget });
    }
    let budget = routes.iter().filter_map(|row| row.budget).min_by(f64::total_cmp);
    routes.sort_by(|one, other| faster(&one.pace, &other.pace).then(other.total.cmp(&one.total)));
    let hidden = routes.len().saturating_sub(MOST_ROUTES);
    routes.truncate(MOST_ROUTES);
    let gateway = |(name, grown): (&str, Grown)| Gateway { gateway: name.to_owned(), pace: grown.pace(span) };
    let mut gateways: Vec<Gateway> = gateways.into_iter().map(gateway).collect();
    gateways.sort_by(|one, other| faster(&one.pace, &other.pace).then_with(|| one.gateway.cmp(&other.gateway)));
    gateways.truncate(MOST_GATEWAYS);
    let time = now();
    let since = time.saturating_sub(u64::try_from(budgets.known(Instant::now()).as_millis()).unwrap_or_default());
    State { time, since, pace: all.pace(span), budget, gateways, routes, hidden }
}

fn faster(one: &Pace, other: &Pace) -> std::cmp::Ordering {
    other.rate.total_cmp(&one.rate)
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

fn detail(snapshot: &Snapshot, id: Id, budgets: &Budgets) -> Option<Detail> {
    let (_, route) = snapshot.routes.iter().find(|(_, route)| route.id == id)?;
    let promise = budgets.of(&route.place, Instant::now());
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
    Some(Detail { promise, answers, replies })
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
        let take = |mut entry: envoy::accesslog_data::HttpAccessLogEntry| {
            let tags = &mut entry.common_properties.as_mut().unwrap().custom_tags;
            tags.insert("portcullis.slo".to_owned(), "95% availability".to_owned());
            let bytes = entry.encode_to_vec();
            let origin = traffic.origin("accesslog/edge/eg", "");
            traffic.count(&origin).request(&Request::read(&bytes).unwrap());
        };
        take(testing::request());
        let before = traffic.snapshot();
        for entry in [testing::request(), testing::request(), testing::refused(503, "no_healthy_upstream")] {
            take(entry);
        }
        let current = traffic.snapshot();
        let mut budgets = Budgets::new(Instant::now());
        budgets.look(&current, &traffic.bounds.seconds, Instant::now());
        let state = state(&before, &current, Duration::from_secs(2), &budgets);
        assert_eq!((state.pace.rate, state.pace.errors, state.pace.refused, state.hidden), (1.5, 0.5, 0.5, 0));
        assert_eq!((&*state.gateways[0].gateway, state.gateways[0].pace.rate), ("edge/eg", 1.5));
        assert!(state.since <= state.time && state.time - state.since < 60_000, "{state:?}");
        let row = &state.routes[0];
        assert_eq!((row.total, row.pace.rate, &*row.route), (4, 1.5, "cart"));
        // 20 ms, in a bucket of 9 % width.
        assert!((0.02..0.0219).contains(&row.pace.p99.unwrap()), "{row:?}");
        // A quarter of all against a budget of 5 %.
        assert!((row.budget.unwrap() + 4.0).abs() < 1e-9 && state.budget == row.budget, "{row:?}");
        let detail = detail(&current, row.id, &budgets).unwrap();
        assert_eq!((detail.answers.len(), &*detail.answers[0].code, detail.answers[0].count), (2, "200", 3));
        assert_eq!((&*detail.replies[0].reason, detail.replies[0].count), ("no_healthy_upstream", 1));
        let promise = serde_json::to_value(&detail.promise).unwrap();
        assert_eq!(promise["objectives"][0]["objective"], "95% availability");
        assert!(super::detail(&current, 99, &budgets).is_none());
    }
}
