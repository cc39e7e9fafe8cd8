//! The shortest proof that all of it works: installed, a quickstart served by real pods, uninstalled, nothing left. It needs
//! root; what takes longer is in `main.rs` beside it.

mod installed;

use anyhow::Result;
use serde_json::Value;

use installed::{HOST, Site, TAG, get};

#[tokio::test]
async fn a_quickstart_is_served_by_pods_and_nothing_stays_of_it() -> Result<()> {
    let site = Site::start().await?;
    let before = site.at_rest().await?;
    site.install(TAG).await?;
    let address = site.quickstart().await?;

    let answer = get(address, HOST).send().await?;
    let seen: Value = answer.json()?;
    assert!(seen["pod"].as_str().is_some_and(|pod| pod.starts_with("backend-")), "{seen}");
    assert_eq!(get(address, "other.example.com").send().await?.status, 404);

    site.leaves_nothing(&before).await?;
    site.cluster.stop().await
}
