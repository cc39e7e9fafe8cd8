//! The controller runs out of memory.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{PATIENCE, wait::wait_for};

use super::{
    installed::{CONTROLLER, Site},
    world::{CONTROLLERS, is, list, loaded, route},
};

/// How much more than it has the controller gets.
const ROOM: u64 = 1 << 20;
/// Enough to fill that.
const SERVICES: usize = 300;

/// A Service that nobody refers to, with much to remember.
fn service(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("heavy-{number}"), "namespace": "default"},
        "spec": {"clusterIP": "None", "ports": (0..90).map(|port| json!({"name": format!("p-{number}-{port}"), "port": 1 + port}))
            .collect::<Vec<_>>()}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_without_memory_comes_back_and_traffic_never_stops() -> Result<()> {
    let (site, address) = Site::serving().await?;
    let pods = site.pods(CONTROLLERS).await?;
    let container = pods.first().and_then(Site::container).context("the controller runs")?;
    let memory = site.cluster.memory_of(container)?;
    let load = loaded(address);
    load.goes_on(200).await?;

    let (used, began) = (memory.used()?, Instant::now());
    memory.limit(used + ROOM)?;
    let services: Vec<Value> = (0..SERVICES).map(service).collect();
    site.cluster.apply(&list(&services)).await?;
    let routes: Vec<Value> = (0..SERVICES).map(|number| route(&format!("heavy-{number}"))).collect();
    site.cluster.apply(&list(&routes)).await?;
    let killed = async || {
        let pods = site.pods(CONTROLLERS).await.ok()?;
        let ended = &pods.first()?["status"]["containerStatuses"][0];
        let last = [&ended["lastState"]["terminated"], &ended["state"]["terminated"]];
        last.into_iter().find(|ended| ended["reason"] == "OOMKilled").cloned()
    };
    let killed = wait_for("the controller to be out of memory", PATIENCE, killed).await;
    let killed = killed.with_context(|| format!("it used {used} bytes, and uses {:?}", memory.used()))?;
    println!("with {used} bytes and {ROOM} more: {} after {:?}", killed["reason"], began.elapsed());
    site.rolled_out(CONTROLLER).await?;
    site.takes_effect(address, "after").await?;
    println!("it is back after {:?}", began.elapsed());
    site.until("httproute", "after", "to be told", |route| is(route, "Accepted", "True")).await?;
    site.answers(address, &format!("heavy-{}.example.com", SERVICES - 1), 200).await?;
    println!("out of memory: {}", load.stop_unharmed().await?);
    site.cluster.stop().await
}
