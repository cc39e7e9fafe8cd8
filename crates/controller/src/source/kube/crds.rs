//! Tells when a CRD came, changed or went: a kind that was not served may be served now.

use kube::Client;
use tokio::sync::watch;

use super::feed::{Broken, Target};
use crate::api_server::Backoff;

/// The group and plural of CRDs.
pub const CRDS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Ticks for every change, for as long as somebody listens. Where CRDs may not be watched it does not tick; kinds are
/// looked for by the clock then.
pub(super) async fn follow(client: Client, ticks: watch::Sender<()>) {
    let mut backoff = Backoff::of_few();
    loop {
        let wait = match until_it_ends(&client, &ticks).await {
            Ok(()) => {
                backoff.reset();
                backoff.wait()
            }
            Err(error) => {
                tracing::debug!(component = "provider", %error, "CRDs cannot be watched");
                backoff.wait()
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn until_it_ends(client: &Client, ticks: &watch::Sender<()>) -> Result<(), Broken> {
    let path = format!("/apis/{}/v1/{}", CRDS.0, CRDS.1);
    let target = Target { path, metadata_only: true, ..Target::default() };
    // From any state that the server has: all there are come first.
    let mut events = target.watch(client, "0".to_owned()).await?;
    while events.next().await?.is_some() {
        ticks.send_replace(());
    }
    Ok(())
}
