//! All figures of the controller, one part after the other.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    change::Changes,
    cost,
    figures::{self, Measure},
    live,
    manifests::Layout,
    scratch::Scratch,
};

/// Routes, how often they are made from nothing, and what that should take at most, in ms.
const SIZES: [(usize, usize, Option<f64>); 3] = [(100, 9, None), (1_000, 9, Some(50.0)), (10_000, 5, Some(600.0))];
/// Routes and how many of them are changed.
const CHANGES: [(usize, usize); 2] = [(1_000, 300), (10_000, 200)];
/// What our own share of a change should be at most, in ms.
const OWN_SHARE: f64 = 10.0;

/// Measures, and prints all as JSON.
pub(crate) fn run(portcullis: &Path, only: &str) -> Result<()> {
    let wanted = |part: &str| part.contains(only);
    let mut measures = Vec::new();
    if wanted("scratch") {
        for layout in [Layout::Hosts, Layout::Paths, Layout::Services] {
            for (routes, times, target) in SIZES {
                let case: Scratch = part("scratch", layout, routes, times)?;
                measures.extend(scratch(&case, layout, routes, target));
            }
        }
    }
    if wanted("change") {
        for layout in [Layout::Hosts, Layout::Paths, Layout::Services] {
            for (routes, times) in CHANGES {
                let case: Changes = part("changes", layout, routes, times)?;
                measures.extend(changes(&case, layout, routes));
            }
        }
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if wanted("live") {
        measures.extend(runtime.block_on(unless_interrupted(live::run(portcullis)))?);
    }
    if wanted("cost") {
        measures.extend(runtime.block_on(unless_interrupted(cost::run(portcullis)))?);
    }
    figures::print(&measures)
}

/// An Envoy outlives its server, so an interrupt has to come to where it is ended.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("terminated"),
    }
}

/// Runs a part in a process of its own.
fn part<T: DeserializeOwned>(name: &str, layout: Layout, routes: usize, times: usize) -> Result<T> {
    eprintln!("  {name}: {routes} routes, {}", layout.describe());
    let mut command = Command::new(std::env::current_exe()?);
    command.args([name, "--layout", layout.word(), "--routes", &routes.to_string(), "--times", &times.to_string()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "{name} failed ({})", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name} printed something else"))
}

fn scratch(case: &Scratch, layout: Layout, routes: usize, target: Option<f64>) -> Vec<Measure> {
    let title = format!("{routes} routes, {}", layout.describe());
    vec![
        Measure::new(format!("translate, lower, snapshot: {title}"), case.millis, "ms", target),
        Measure::new(format!("  translate: {title}"), case.translate, "ms", None),
        Measure::new(format!("  lower: {title}"), case.lower, "ms", None),
        Measure::new(format!("  snapshot: {title}"), case.snapshot, "ms", None),
        Measure::new(format!("  peak memory: {title}"), case.peak, "MiB", None),
    ]
}

fn changes(case: &Changes, layout: Layout, routes: usize) -> Vec<Measure> {
    let title = format!("{routes} routes, {}", layout.describe());
    vec![
        Measure::new(format!("one changed route p50: {title}"), case.p50, "ms", None),
        Measure::new(format!("one changed route p99: {title}"), case.p99, "ms", Some(OWN_SHARE)),
        Measure::new(format!("  translate p50: {title}"), case.translate, "ms", None),
        Measure::new(format!("  lower p50: {title}"), case.lower, "ms", None),
        Measure::new(format!("  snapshot p50: {title}"), case.snapshot, "ms", None),
    ]
}
