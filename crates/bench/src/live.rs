//! Saving a file, until Envoy answers accordingly: real files, the real server, the real Envoy.

use std::{path::Path, time::Duration};

use anyhow::Result;
use testbed::{proc, times::Times};

use crate::{
    figures::Measure,
    house::{Files, House},
    manifests::Layout,
};

/// The pause between two changes for each 1,000 routes, with which Envoy's time for a change grows: one must not wait for
/// the other.
const PAUSE: Duration = Duration::from_millis(40);
/// Changes that do not count, for warming up.
const WARM: usize = 5;
/// A step that meets every route once before it comes to one again, for any usual number of routes.
const STRIDE: usize = 7919;
/// How many end points are changed.
const ENDPOINTS: usize = 60;

/// A house to be measured.
struct Case {
    layout: Layout,
    files: Files,
    routes: usize,
    times: usize,
    /// What 99 of 100 changes should take at most, in ms.
    target: f64,
}

const CASES: [Case; 6] = [
    Case { layout: Layout::Hosts, files: Files::Many, routes: 1_000, times: 150, target: 50.0 },
    Case { layout: Layout::Paths, files: Files::Many, routes: 1_000, times: 150, target: 50.0 },
    Case { layout: Layout::Hosts, files: Files::One, routes: 1_000, times: 150, target: 50.0 },
    Case { layout: Layout::Hosts, files: Files::Many, routes: 10_000, times: 120, target: 250.0 },
    Case { layout: Layout::Paths, files: Files::Many, routes: 10_000, times: 120, target: 250.0 },
    Case { layout: Layout::Hosts, files: Files::One, routes: 10_000, times: 120, target: 250.0 },
];
/// What our own share of a change should be at most, in ms.
const OWN_SHARE: f64 = 10.0;
/// What the server should have in memory at 10,000 routes at most, in MiB.
const MEMORY: f64 = 120.0;

/// All cases.
pub(crate) async fn run(portcullis: &Path) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    let mut envoys = Vec::new();
    for case in &CASES {
        let envoy = measure(portcullis, case, &mut measures).await?;
        envoys.push((case.layout, case.files, case.routes, envoy));
    }
    for layout in [Layout::Hosts, Layout::Paths] {
        let memory = |routes: usize| {
            let same = |case: &&(Layout, Files, usize, f64)| (case.0, case.1, case.2) == (layout, Files::Many, routes);
            envoys.iter().find(same).map_or(f64::NAN, |case| case.3)
        };
        let each = (memory(10_000) - memory(1_000)) * 1024.0 / 9_000.0;
        measures.push(Measure::new(format!("envoy: memory of a route, {}", layout.describe()), each, "KiB", None));
    }
    Ok(measures)
}

/// One case; gives Envoy's memory with all routes, before any changes.
async fn measure(portcullis: &Path, case: &Case, measures: &mut Vec<Measure>) -> Result<f64> {
    let Case { layout, files, routes, times, target } = *case;
    let title = match files {
        Files::Many => format!("{routes} routes, {}", layout.describe()),
        Files::One => format!("{routes} routes in one file"),
    };
    eprintln!("  live: {title}");
    let mut house = House::start(portcullis, layout, files, routes).await?;
    tokio::time::sleep(PAUSE * 10).await;
    let (server, envoy) = house.memory()?;
    if routes == 10_000 {
        measures.push(Measure::new(format!("server: memory, {title}"), server, "MiB", Some(MEMORY)));
    }
    let (took, own) = changes(&mut house, times).await?;
    eprintln!("    p50 {:.1} ms, p99 {:.1} ms, the server's share {own:.1} ms", took.millis(0.5), took.millis(0.99));
    measures.push(Measure::new(format!("route saved → served p50, {title}"), took.millis(0.5), "ms", None));
    measures.push(Measure::new(format!("route saved → served p99, {title}"), took.millis(0.99), "ms", Some(target)));
    measures.push(Measure::new(format!("  of that, the server's processor time, {title}"), own, "ms", Some(OWN_SHARE)));
    if files == Files::Many && layout == Layout::Hosts {
        let took = endpoints(&mut house).await?;
        measures.push(Measure::new(format!("end point saved → served p50, {title}"), took.millis(0.5), "ms", None));
        measures.push(Measure::new(
            format!("end point saved → served p99, {title}"),
            took.millis(0.99),
            "ms",
            Some(target),
        ));
    }
    if routes == 10_000 {
        let (server, _) = house.memory()?;
        let name = format!("server: memory after {times} changes, {title}");
        measures.push(Measure::new(name, server, "MiB", Some(MEMORY)));
    }
    Ok(envoy)
}

/// Changes routes one after the other; gives how long each took, and the server's processor time for one in ms.
async fn changes(house: &mut House, times: usize) -> Result<(Times, f64)> {
    let routes = house.routes();
    let server = house.server()?;
    let mut all = Vec::with_capacity(times);
    let mut begin = Duration::ZERO;
    let pause = PAUSE * u32::try_from(routes)? / 1_000;
    for number in 0..times + WARM {
        if number == WARM {
            begin = proc::processor_time(server)?;
        }
        let took = house.change_route(number * STRIDE % routes).await?;
        if number >= WARM {
            all.push(took);
        }
        tokio::time::sleep(pause).await;
    }
    let used = proc::processor_time(server)?.saturating_sub(begin);
    let each = used.as_secs_f64() * 1e3 / f64::from(u32::try_from(times)?);
    Ok((Times::new(all), each))
}

async fn endpoints(house: &mut House) -> Result<Times> {
    let mut all = Vec::with_capacity(ENDPOINTS);
    for number in 0..ENDPOINTS {
        all.push(house.change_endpoint(number % 2 == 0).await?);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Times::new(all))
}
