//! What a request costs Envoy: the last of a thousand routes of one host, against the first.

use std::path::Path;

use anyhow::Result;
use testbed::{client::Connection, proc};

use crate::{
    figures::{Measure, median},
    house::{Files, House},
    manifests::Layout,
};

const ROUTES: usize = 1_000;
/// Connections at a time.
const CONNECTIONS: usize = 8;
/// Requests of a connection in a round.
const REQUESTS: usize = 1_000;
/// Rounds for each of the two, taking turns; one more before is for warming up.
const ROUNDS: usize = 6;
/// The last route should cost at most so many times what the first costs.
const RATIO: f64 = 1.3;

/// Measures both.
pub(crate) async fn run(portcullis: &Path) -> Result<Vec<Measure>> {
    eprintln!("  cost: the first and the last of {ROUTES} routes");
    let house = House::start(portcullis, Layout::Paths, Files::Many, ROUTES).await?;
    let mut micros: [Vec<f64>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for (list, route) in micros.iter_mut().zip([0, ROUTES - 1]) {
            let each = micros_a_request(&house, route).await?;
            if round > 0 {
                list.push(each);
            }
        }
    }
    let [first, last] = micros.map(median);
    let title = format!("of {ROUTES} routes of a host");
    Ok(vec![
        Measure::new(format!("envoy: processor time of a request, first {title}"), first, "µs", None),
        Measure::new(format!("envoy: processor time of a request, last {title}"), last, "µs", Some(first)),
        Measure::new(format!("envoy: last to first {title}"), last / first, "", Some(RATIO)),
    ])
}

async fn micros_a_request(house: &House, route: usize) -> Result<f64> {
    let envoy = house.envoy()?;
    let begin = proc::processor_time(envoy)?;
    let mut tasks = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let request = house.request(route);
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(&request).await?;
            for _ in 0..REQUESTS {
                let status = connection.send(&request).await?.status;
                anyhow::ensure!(status.is_success(), "status {status}");
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let used = proc::processor_time(envoy)?.saturating_sub(begin);
    Ok(used.as_secs_f64() * 1e6 / f64::from(u32::try_from(CONNECTIONS * REQUESTS)?))
}
