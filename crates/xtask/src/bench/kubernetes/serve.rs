//! One route after the other, from applying it to the first answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use testbed::times::Times;
use tokio::task::JoinHandle;

use super::figures::{Figures, served_within};
use super::fill::{as_float, name};
use super::house::{House, of};
use super::manifests;

/// Fewer probes say nothing, however long they take.
const LEAST: usize = 10;
/// The pause between two probes: what came before is over, also for those who pace changes.
const PAUSE: Duration = Duration::from_secs(1);
/// The time between two of the other changes.
const OTHERS: Duration = Duration::from_secs(1);
/// The most that a change may cost the controller, in ms.
const PROCESSOR: f64 = 10.0;

/// What else goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meanwhile {
    Nothing,
    /// Another route is changed each second.
    Changes,
}

/// Probes for so long.
pub(super) async fn run(
    house: &mut House,
    routes: usize,
    meanwhile: Meanwhile,
    seconds: u64,
    figures: &mut Figures,
) -> Result<()> {
    house.probe().await?;
    house.settle().await?;
    let before = house.count().await?;
    let others = if meanwhile == Meanwhile::Changes { Some(Others::start(house, routes).await?) } else { None };
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed().as_secs() < seconds || times.len() < LEAST {
        times.push(house.probe().await?);
        tokio::time::sleep(PAUSE).await;
    }
    let others = match others {
        Some(others) => others.stop().await?,
        None => 0,
    };
    house.settle().await?;
    let cost = house.since(&before).await?;
    // Each probe is added and deleted.
    let changes = as_float(times.len() * 2 + others);
    let (limit, title) = match meanwhile {
        Meanwhile::Nothing => (1.0, format!("{routes} routes")),
        Meanwhile::Changes => (1.5, format!("{routes} routes, changes")),
    };
    let target = served_within(routes).map(|target| target * limit);
    let times = Times::new(times);
    figures.add(format!("route applied → served p50, {title}"), times.millis(0.5), "ms");
    figures.add_with(format!("route applied → served p99, {title}"), times.millis(0.99), "ms", target);
    let each = cost.processor / changes;
    figures.add_with(format!("controller's processor a change, {title}"), each, "ms", Some(PROCESSOR));
    figures.add(format!("xDS a change, {title}"), cost.sent / changes, "KiB");
    figures.add(format!("status writes a change, {title}"), cost.writes / changes, "");
    Ok(())
}

/// Someone else who changes routes.
struct Others {
    task: JoinHandle<Result<()>>,
    done: Arc<AtomicUsize>,
}

impl Others {
    async fn start(house: &House, routes: usize) -> Result<Self> {
        let mut calls = house.cluster.api().connect().await?;
        let done = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&done);
        let work = async move {
            let mut due = tokio::time::interval(OTHERS);
            for number in 0_usize.. {
                due.tick().await;
                let route = number * 37 % routes;
                let rules = manifests::rules(&format!("/w{number}"), route);
                calls.merge_patch(&of(&name(route)), &json!({"spec": {"rules": rules}})).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        Ok(Self { task: tokio::spawn(work), done })
    }

    /// Ends it; how many changes it has made.
    async fn stop(self) -> Result<usize> {
        self.task.abort();
        match self.task.await {
            Ok(Err(error)) => Err(error),
            _ => Ok(self.done.load(Ordering::Relaxed)),
        }
    }
}
