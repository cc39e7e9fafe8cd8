//! All routes from nothing: translate, lower and snapshot.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Result;
use controller::pipeline::{State, compile};
use serde::{Deserialize, Serialize};
use testbed::{proc, times::Times};

use crate::manifests::{self, Layout};

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scratch {
    /// The median of the whole, in ms.
    pub(crate) millis: f64,
    /// The medians of its steps, in ms.
    pub(crate) translate: f64,
    pub(crate) lower: f64,
    pub(crate) snapshot: f64,
    /// The most memory that the process had, with the resources and one output, in MiB.
    pub(crate) peak: f64,
}

/// Makes everything so many times, each time from nothing.
pub(crate) fn run(layout: Layout, routes: usize, times: usize) -> Result<Scratch> {
    let resources = manifests::resources(layout, routes)?;
    // Parsing is another matter: from here on the peak is counted anew (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5")?;
    let mut peak = f64::NAN;
    let mut all: [Vec<Duration>; 4] = Default::default();
    for _ in 0..times {
        let mut state = State::new(manifests::settings());
        let begin = Instant::now();
        let output = compile(&resources, &mut state);
        let steps = [begin.elapsed(), output.times.translate, output.times.lower, output.times.snapshot];
        all.iter_mut().zip(steps).for_each(|(list, step)| list.push(step));
        if peak.is_nan() {
            peak = proc::mebibytes("self", "VmHWM")?;
        }
    }
    let [millis, translate, lower, snapshot] = all.map(|list| Times::new(list).millis(0.5));
    Ok(Scratch { millis, translate, lower, snapshot, peak })
}
