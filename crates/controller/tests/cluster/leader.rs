//! The leader is killed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use testbed::{PATIENCE, wait::wait_for};

use super::{
    installed::Site,
    world::{CONTROLLERS, WHO_LEADS, is, loaded},
};

/// The lease, and two retries of 2 s: so late the next one may have heard of the leader, and so late it may look again.
const LEASE_ENDS: Duration = Duration::from_secs(15 + 2 * 2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_is_followed_within_the_lease() -> Result<()> {
    let (site, address) = Site::redundant().await?;
    let leader = site.cluster.kubectl(&WHO_LEADS).await?;
    let pod = leader.split_once('_').context("it's named by its pod")?.0;
    let pods = site.pods(CONTROLLERS).await?;
    let pod = pods.iter().find(|one| one["metadata"]["name"] == pod).context("the leader is a pod")?;
    let container = Site::container(pod).context("it runs")?;

    let load = loaded(address);
    load.goes_on(200).await?;
    let began = Instant::now();
    site.cluster.run("ctr", &["--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container]).await?;
    // Whoever serves need not lead.
    site.takes_effect(address, "meanwhile").await?;
    let another = async || site.cluster.kubectl(&WHO_LEADS).await.ok().filter(|now| !now.is_empty() && *now != leader);
    let another = wait_for("another leader", PATIENCE, another).await?;
    println!("{leader} is killed, {another} leads after {:?}", began.elapsed());
    assert!(began.elapsed() < LEASE_ENDS, "{:?}", began.elapsed());
    site.until("httproute", "meanwhile", "to be told", |route| is(route, "Accepted", "True")).await?;
    site.takes_effect(address, "after").await?;
    site.until("httproute", "after", "to be told", |route| is(route, "Accepted", "True")).await?;
    println!("leader killed: {}", load.stop_unharmed().await?);
    site.cluster.stop().await
}
