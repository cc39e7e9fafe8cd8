//! Many routes at once.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::figures::Figures;
use super::house::House;
use super::manifests;

/// How many clients add routes at the same time.
const CLIENTS: usize = 4;
/// How long Envoy is given to free what it does not need any more.
const CALM: Duration = Duration::from_secs(3);

/// Within how many seconds so many more have to be accepted.
const ACCEPTED: (usize, f64) = (2_000, 10.0);
/// The most that a route may cost Envoy, in KiB.
const MEMORY: f64 = 30.0;

/// The name of a route.
pub(super) fn name(route: usize) -> String {
    format!("r{route:05}")
}

/// Adds routes until there are so many.
pub(super) async fn run(house: &mut House, from: usize, to: usize, figures: &mut Figures) -> Result<()> {
    let (before, memory, begin) = (house.count().await?, house.envoy.memory()?, Instant::now());
    // The bystander is one of them.
    let (applied, attached, accepted) = tokio::try_join!(
        apply(house, from, to),
        house.standing.attached(to + 1, begin),
        house.standing.accepted(to + 1, begin)
    )?;
    for client in 0..CLIENTS {
        house.served(&name(to - 1 - client), "/v0").await?;
    }
    let served = begin.elapsed();
    house.settle().await?;
    tokio::time::sleep(CALM).await;
    let cost = house.since(&before).await?;
    let added = as_float(to - from);
    let title = format!("{from} → {to} routes");
    let limit = (to - from == ACCEPTED.0).then_some(ACCEPTED.1);
    figures.add(format!("routes applied, {title}"), applied.as_secs_f64(), "s");
    figures.add(format!("all attached, {title}"), attached.as_secs_f64(), "s");
    figures.add_with(format!("all Accepted, {title}"), accepted.as_secs_f64(), "s", limit);
    figures.add(format!("all served, {title}"), served.as_secs_f64(), "s");
    figures.add(format!("status writes a route, {title}"), cost.writes / added, "");
    figures.add(format!("controller's processor a route, {title}"), cost.processor / added, "ms");
    figures.add(format!("xDS a route, {title}"), cost.sent / added, "KiB");
    let grown = (house.envoy.memory()? - memory) * 1024.0 / added;
    figures.add_with(format!("memory of Envoy a route, {title}"), grown, "KiB", Some(MEMORY));
    Ok(())
}

/// Several clients at the same time; how long it takes them.
async fn apply(house: &House, from: usize, to: usize) -> Result<Duration> {
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut calls = house.cluster.api().connect().await?;
        clients.spawn(async move {
            for route in (from + client..to).step_by(CLIENTS) {
                let rules = manifests::rules("/v0", route);
                calls.create(manifests::ROUTES, &manifests::route(&name(route), &rules)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(begin.elapsed())
}

/// A count, for a quotient.
pub(super) fn as_float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
