//! Routes that come, change and go for a long time: memory has to stay.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::interval;

use super::figures::Figures;
use super::fill::{as_float, name};
use super::house::House;
use super::manifests;

/// Time between two changes.
const EVERY: Duration = Duration::from_millis(200);
/// How much more memory is still flat.
const FLAT: f64 = 1.1;

/// Changes routes for so many minutes, among so many.
pub(super) async fn run(house: &mut House, routes: usize, minutes: u64, figures: &mut Figures) -> Result<()> {
    let (before, begin) = (house.count().await?, Instant::now());
    let (controller, envoy) = (house.controller.memory()?, house.envoy.memory()?);
    let (mut due, mut changes) = (interval(EVERY), 0);
    while begin.elapsed() < Duration::from_secs(minutes * 60) {
        let come = format!("churn{}", changes / 3);
        due.tick().await;
        match changes % 3 {
            0 => house.create(&come, &manifests::rules("/v0", changes)).await?,
            1 => {
                let route = changes * 37 % routes;
                house.change(&name(route), &manifests::rules(&format!("/c{changes}"), route)).await?;
            }
            _ => house.delete(&come).await?,
        }
        changes += 1;
    }
    house.settle().await?;
    let cost = house.since(&before).await?;
    let title = format!("{minutes} min of churn, {routes} routes");
    let each = cost.processor / as_float(changes);
    figures.add_with(format!("controller's processor a change, {title}"), each, "ms", Some(10.0));
    figures.add(format!("controller's memory before {title}"), controller, "MiB");
    let after = house.controller.memory()?;
    figures.add_with(format!("controller's memory after {title}"), after, "MiB", Some(controller * FLAT));
    figures.add(format!("Envoy's memory before {title}"), envoy, "MiB");
    figures.add_with(format!("Envoy's memory after {title}"), house.envoy.memory()?, "MiB", Some(envoy * FLAT));
    Ok(())
}
