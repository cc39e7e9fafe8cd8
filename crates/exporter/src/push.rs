//! The series that scrapers get, pushed to a collector.
//!
//! They are sums from the beginning on: a push that fails costs the time between two points, and no request. One request is on its
//! way at a time, and nothing waits: what a collector cannot take now is dropped, counted, and told anew at the next turn.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kit::Kit;
use kit::otlp::{Buckets, Exemplar, Metrics as Batch, Refused, Sender};
use kit::tasks::BoxError;
use tokio::time::MissedTickBehavior;

use crate::family::{self, Family, Value};
use crate::histogram::Histogram;
use crate::labels::pairs;
use crate::metrics::Metrics;
use crate::settings;
use crate::traffic::Traffic;

/// How many values a request has: collectors take 4 MiB of it.
const POINTS: usize = 1000;

/// What is pushed, and where.
struct Push {
    sender: Sender,
    started: SystemTime,
    kit: Kit,
    traffic: Arc<Traffic>,
    metrics: Arc<Metrics>,
}

/// What is told to the collector in one turn.
struct Turn<'a> {
    push: &'a Push,
    batch: Batch,
    /// Why the collector takes no more in this turn.
    failed: Option<Refused>,
}

/// Pushes again and again, and once more at the end.
pub(crate) fn start(
    kit: &Kit,
    settings: &settings::Push,
    traffic: &Arc<Traffic>,
    metrics: &Arc<Metrics>,
) -> Result<(), BoxError> {
    let sender =
        Sender::new(kit.service, kit.version, &settings.otlp).map_err(|error| format!("push.otlp: {error}"))?;
    let (traffic, metrics, started) = (Arc::clone(traffic), Arc::clone(metrics), SystemTime::now());
    let push = Push { sender, started, kit: kit.clone(), traffic, metrics };
    let mut turns = tokio::time::interval(settings.interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns.reset();
    kit.tasks.spawn("push", async move {
        let shutdown = push.kit.shutdown.clone();
        let (mut goes_on, mut failing) = (true, false);
        while goes_on {
            goes_on = shutdown.unless_stopping(turns.tick()).await.is_some();
            let Some(outcome) = shutdown.unless_forced(push.turn()).await else { break };
            if let (Some(error), false) = (&outcome, failing) {
                tracing::warn!(%error, "metrics cannot be pushed");
            }
            failing = outcome.is_some();
        }
        Ok::<(), Infallible>(())
    });
    Ok(())
}

impl Push {
    /// Sends everything; gives why not all of it was taken.
    async fn turn(&self) -> Option<Refused> {
        self.traffic.tell_series(&self.metrics);
        let mut turn = Turn { push: self, batch: Batch::since(self.started), failed: None };
        for family in family::all(self.kit.metrics.families(), Arc::clone(&self.traffic)) {
            turn.add(&family).await;
        }
        turn.send().await;
        turn.failed
    }
}

impl Turn<'_> {
    async fn add(&mut self, family: &Family) {
        let now = SystemTime::now();
        self.batch.begin(&family.name, &family.help, family.kind, now);
        for (labels, value) in family.iter() {
            if self.batch.points() == POINTS {
                self.send().await;
                self.batch.begin(&family.name, &family.help, family.kind, now);
            }
            match value {
                Value::Number(number) => self.batch.number(pairs(labels), number),
                Value::Count(count) => self.batch.count(pairs(labels), count),
                Value::Histogram(histogram) => {
                    self.batch.histogram(pairs(labels), &buckets(histogram, &family.bounds));
                }
            }
        }
    }

    /// Sends what there is. After a request that failed no other one is tried in this turn.
    async fn send(&mut self) {
        let batch = std::mem::replace(&mut self.batch, Batch::since(self.push.started));
        let points = u64::try_from(batch.points()).unwrap_or_default();
        let outcome = match self.failed {
            None => self.push.sender.send_metrics(batch).await,
            Some(_) => Err(Refused::Now(String::new())),
        };
        let dropped = match outcome {
            Ok(()) => 0,
            Err(Refused::Some(some, _)) => some.min(points),
            Err(why) => {
                self.failed.get_or_insert(why);
                points
            }
        };
        let count = |outcome: &str| self.push.metrics.pushed_points.with_label_values(&[outcome]);
        count("sent").inc_by(points - dropped);
        count("dropped").inc_by(dropped);
    }
}

fn buckets<'a>(histogram: &'a Histogram, bounds: &'a [f64]) -> Buckets<'a> {
    let exemplars = histogram.exemplars.iter().flatten().map(|exemplar| Exemplar {
        trace: exemplar.trace,
        value: exemplar.value,
        time: SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(exemplar.time).unwrap_or_default(),
    });
    Buckets {
        bounds,
        counts: &histogram.classic,
        count: histogram.count,
        sum: histogram.sum,
        exemplars: exemplars.collect(),
    }
}
