//! New versions and restarts, under load.

use std::time::Instant;

use anyhow::Result;

use super::{
    installed::{CONTROLLER, Site, TAG, image},
    world::{ENVOYS, loaded},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_costs_no_request_and_an_uninstall_leaves_nothing() -> Result<()> {
    let site = Site::start().await?;
    let before = site.at_rest().await?;
    site.install(TAG).await?;
    let address = site.quickstart().await?;
    let old = site.ready_pods(ENVOYS).await?;
    site.cluster.import(&image("second")).await?;
    let (load, began) = (loaded(address), Instant::now());
    load.goes_on(200).await?;
    site.install("second").await?;
    println!("the controller is another after {:?}", began.elapsed());
    site.takes_effect(address, "upgraded").await?;
    // Beside each Envoy runs the controller's image: they are rolled, too.
    site.gone(&old).await?;
    println!("the Envoys are others after {:?}", began.elapsed());
    let deployment = site.envoys().await?;
    let images = "--output=jsonpath={.spec.template.spec.containers[*].image}";
    assert!(site.kubectl(&["get", &deployment, images]).await?.ends_with("portcullis:second"));
    load.goes_on(200).await?;
    println!("upgrade: {}", load.stop_unharmed().await?);
    site.cluster.kubectl(&["delete", "httproute", "upgraded"]).await?;
    site.leaves_nothing(&before).await?;
    site.cluster.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_cost_no_request() -> Result<()> {
    let (site, address) = Site::redundant().await?;
    let load = loaded(address);
    load.goes_on(200).await?;
    let began = Instant::now();
    site.kubectl(&["rollout", "restart", CONTROLLER]).await?;
    site.rolled_out(CONTROLLER).await?;
    println!("the controllers are others after {:?}", began.elapsed());
    site.takes_effect(address, "restarted").await?;

    let (old, began) = (site.ready_pods(ENVOYS).await?, Instant::now());
    let deployment = site.envoys().await?;
    site.kubectl(&["rollout", "restart", &deployment]).await?;
    site.rolled_out(&deployment).await?;
    site.gone(&old).await?;
    println!("the Envoys are others after {:?}", began.elapsed());
    site.takes_effect(address, "restarted-again").await?;
    assert_eq!(site.ready_pods(ENVOYS).await?.intersection(&old).count(), 0);
    println!("rolling restarts: {}", load.stop_unharmed().await?);
    site.cluster.stop().await
}
