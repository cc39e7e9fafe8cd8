//! The API server and etcd go away and come back.

use anyhow::Result;

use super::{
    installed::Site,
    world::{CONTROLLERS, ENVOYS, is, loaded},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_on_without_a_control_plane_and_changes_take_effect_after() -> Result<()> {
    let (mut site, address) = Site::redundant().await?;
    let envoys = site.ready_pods(ENVOYS).await?;
    let load = loaded(address);
    load.goes_on(200).await?;

    site.cluster.kill_api_server()?;
    load.goes_on(1000).await?;
    site.cluster.start_api_server().await?;
    site.takes_effect(address, "after-api-server").await?;

    site.cluster.kill_etcd()?;
    load.goes_on(1000).await?;
    site.cluster.start_etcd().await?;
    site.takes_effect(address, "after-etcd").await?;

    site.cluster.kill_api_server()?;
    site.cluster.kill_etcd()?;
    load.goes_on(2000).await?;
    // What happened before is forgotten: all have to read everything again.
    site.cluster.start_etcd().await?;
    site.cluster.forget_history().await?;
    site.cluster.start_api_server().await?;
    site.takes_effect(address, "after-both").await?;
    site.until("httproute", "after-both", "to be told", |route| is(route, "Accepted", "True")).await?;
    assert_eq!(site.ready_pods(ENVOYS).await?, envoys, "Envoys are left alone");
    let restarts = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
    println!("restarts of controllers: {:?}", site.pods(CONTROLLERS).await?.iter().map(restarts).collect::<Vec<_>>());
    println!("control plane gone: {}", load.stop_unharmed().await?);
    site.cluster.stop().await
}
