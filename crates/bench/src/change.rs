//! One changed route among many: our own share of the way to Envoy.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use controller::pipeline::{State, compile};
use envoy::type_url;
use serde::{Deserialize, Serialize};
use testbed::times::Times;

use crate::manifests::{self, Layout};

/// What a change took, in ms: translate, lower, snapshot, and finding out what has to be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The medians of its steps.
    pub(crate) translate: f64,
    pub(crate) lower: f64,
    pub(crate) snapshot: f64,
}

/// A step that meets every route once before it comes to one again, for any usual number of routes.
const STRIDE: usize = 7919;

/// Changes so many routes, one after the other.
pub(crate) fn run(layout: Layout, routes: usize, times: usize) -> Result<Changes> {
    let mut resources = manifests::resources(layout, routes)?;
    let mut state = State::new(manifests::settings());
    let mut before = compile(&resources, &mut state);
    let mut all: [Vec<Duration>; 4] = Default::default();
    for version in 1..=times {
        let route = version * STRIDE % routes;
        resources.insert(manifests::object(&layout.route(route, version))?);
        let begin = Instant::now();
        let output = compile(&resources, &mut state);
        let fleet = |output: &controller::pipeline::Output| output.fleets.values().next().cloned();
        let (old, new) = fleet(&before).zip(fleet(&output)).context("no fleet")?;
        let changed = old.snapshot.resources(type_url::ROUTE).changed(&new.snapshot.resources(type_url::ROUTE));
        let steps = [begin.elapsed(), output.times.translate, output.times.lower, output.times.snapshot];
        anyhow::ensure!(changed.len() == 1, "one table should have changed, not {}", changed.len());
        all.iter_mut().zip(steps).for_each(|(list, step)| list.push(step));
        // Is let go of in between, as the server does it.
        before = output;
    }
    let [whole, translate, lower, snapshot] = all.map(Times::new);
    let [translate, lower, snapshot] = [translate, lower, snapshot].map(|times| times.millis(0.5));
    Ok(Changes { p50: whole.millis(0.5), p99: whole.millis(0.99), translate, lower, snapshot })
}
